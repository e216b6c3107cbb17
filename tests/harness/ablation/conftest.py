"""Fixtures of the ablation's tests."""

from .small_study import trained

__all__ = ["trained"]
