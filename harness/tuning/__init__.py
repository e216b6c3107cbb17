"""Optuna under one fair budget, crash-safe."""
