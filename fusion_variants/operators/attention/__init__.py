"""Slots that look at each other."""
