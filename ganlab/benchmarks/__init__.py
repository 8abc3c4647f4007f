"""Our implementations and textbook ones, timed alternately in one run: `ganlab benchmark NAME`."""
