"""Exceptions that are not bugs: invalid input and cancellation."""


class InputError(ValueError):
    """Invalid input, explained in one sentence: the value, the limit and the remedy.

    The command line prints the sentence and exits with 2; a page shows it and keeps its state.
    """


class Cancelled(Exception):
    """The user cancelled the request."""
