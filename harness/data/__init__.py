"""The one data module: from the prepared store to batches of requests."""
