"""Operators with products between slots."""
