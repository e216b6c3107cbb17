"""Where the operator stands: item, pooled, interaction or logit."""
