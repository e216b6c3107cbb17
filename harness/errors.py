"""Errors that the command line prints as one sentence, with an exit code."""


class FusefrontError(Exception):
    """Shown to the user as one sentence, without a traceback."""

    exit_code = 1


class UsageError(FusefrontError):
    """Wrong options or configuration: exit 2."""

    exit_code = 2


class GateError(FusefrontError):
    """A gate fails, or the evidence cannot support a decision: exit 4."""

    exit_code = 4


class NothingToDoError(FusefrontError):
    """There is nothing to do or to show: exit 5."""

    exit_code = 5
