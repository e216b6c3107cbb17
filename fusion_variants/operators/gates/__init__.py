"""Operators with weights that depend on the content."""
