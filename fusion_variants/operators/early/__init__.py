"""Weighted sums of the slots."""
