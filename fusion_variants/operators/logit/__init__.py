"""Operators on logits: one number a tower."""
