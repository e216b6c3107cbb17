"""Searches of hyper-parameters with Optuna: an equal budget for every strategy, safe against
kills."""
