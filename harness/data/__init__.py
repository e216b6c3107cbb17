"""From the prepared store to request batches: the one data module."""
