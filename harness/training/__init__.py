"""The one Lightning module and trainer of all strategies."""
