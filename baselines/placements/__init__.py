"""Placements of the operator: item, pooled, interaction or logit."""
