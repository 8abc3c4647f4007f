"""The two ways a request can end early without being anyone's bug."""


class InputError(ValueError):
    """A user's mistake, in one plain sentence: the value, the limit and the remedy.

    The command line prints it and exits with 2; a page shows it and keeps what was there.
    """


class Cancelled(Exception):
    """The user asked to stop."""
