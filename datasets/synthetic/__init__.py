"""Synthetic worlds of known truth."""
