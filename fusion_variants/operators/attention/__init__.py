"""Operators with attention between slots."""
