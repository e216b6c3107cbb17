"""Compressors: fewer numbers per modality."""
