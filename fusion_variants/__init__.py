"""Compressors, fusion operators and alignment losses: one formula a file."""
