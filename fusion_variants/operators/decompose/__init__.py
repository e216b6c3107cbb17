"""Operators that separate what slots share from what each adds."""
