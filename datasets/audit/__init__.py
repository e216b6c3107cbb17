"""Leak and quality checks of a prepared data set."""
