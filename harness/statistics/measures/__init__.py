"""Metrics of one score vector, each with its influences."""
