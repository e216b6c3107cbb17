"""From raw files to the prepared store, as a stream."""
