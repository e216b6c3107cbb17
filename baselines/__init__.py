"""Complete click models with a slot for the fusion operator."""
