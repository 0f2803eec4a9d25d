"""The exceptions that commands end with; everything else that is raised is a bug of ours.

Messages of libraries run over many lines: of these a user is told the first.
"""


class UserError(Exception):
    """Say what was found, what was allowed and the next move; commands print it without a traceback."""


class Pruned(Exception):  # noqa: N818 (nothing is wrong)
    """Say why a trial of a sweep goes no further: nothing is wrong with it, but others are better."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
