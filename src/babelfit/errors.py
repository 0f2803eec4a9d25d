"""The one exception for what a user can mend; everything else that is raised is a bug of ours.

Messages of libraries run over many lines: of these a user is told the first.
"""


class UserError(Exception):
    """Say what was found, what was allowed and the next move; commands print it without a traceback."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
