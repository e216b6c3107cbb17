"""Poolers: from a history to one vector for each candidate."""
