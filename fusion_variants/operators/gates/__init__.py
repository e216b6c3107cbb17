"""Weights that the content decides."""
