"""Errors for what a report needs from the machine and does not find."""


class ReportError(RuntimeError):
    """Something that the report needs is missing; the message says how to get it."""
