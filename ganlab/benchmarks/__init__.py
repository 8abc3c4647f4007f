"""Ours and the textbook way in one run, alternating: `ganlab benchmark NAME`."""
