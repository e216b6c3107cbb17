"""Inputs of planted truth for every test of a decision."""

from ..planted_inputs import planted

__all__ = ["planted"]
