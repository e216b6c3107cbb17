"""What a report needs of the machine and does not find there."""


class ReportError(RuntimeError):
    """One sentence for whoever asked for the report: what is missing, how to get it."""
