"""Two ways a request can end early that are not bugs."""


class InputError(ValueError):
    """A user's mistake, explained in one sentence: the value, the limit and the remedy.

    The command line prints the sentence and exits with 2; a page shows it and keeps its state.
    """


class Cancelled(Exception):
    """The user cancelled the request."""
