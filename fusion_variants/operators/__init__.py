"""Fusion operators: many modality tokens to few."""
