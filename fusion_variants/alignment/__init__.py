"""Alignment losses between modalities."""
