"""The exceptions that commands end with; any other exception is a bug.

Messages of libraries run over many lines: users are shown the first.
"""


class UserError(Exception):
    """A mistake that the user can correct: what was found, what is allowed, the next move; shown without traceback."""


class Pruned(Exception):  # noqa: N818 (nothing is wrong)
    """A trial of a sweep ends early, for this reason: nothing is wrong with it, but others are better."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
