"""Heads: from features to a logit."""
