"""Ablation plans, executed through the one run."""
