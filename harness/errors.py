"""What the command line turns into one sentence and an exit code."""


class FusefrontError(Exception):
    """Shown to the user as one sentence, without a traceback."""

    exit_code = 1


class UsageError(FusefrontError):
    """Wrong options or configuration: exit 2."""

    exit_code = 2


class GateError(FusefrontError):
    """A gate or a decision that the evidence does not carry: exit 4."""

    exit_code = 4


class NothingToDoError(FusefrontError):
    """Asked for nothing: exit 5."""

    exit_code = 5
