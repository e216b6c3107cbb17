"""Products between slots."""
