"""After everybody has read: statistics, reports and exports."""
