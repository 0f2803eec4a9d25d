"""The one exception for what a user can mend; everything else that is raised is a bug of ours."""


class UserError(Exception):
    """Say what was found, what was allowed and the next move; commands print it without a traceback."""
