"""After all readers have finished: scoring, statistics, reports and exports."""
