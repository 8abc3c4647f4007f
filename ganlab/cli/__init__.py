"""The `ganlab` command: one file per group of commands. They parse and print; the work is done in the library."""
