"""Complete click models; most have a slot for a fusion operator."""
