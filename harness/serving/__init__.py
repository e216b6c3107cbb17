"""What ships and what it costs: the exported graph, the bundle, the latency lab."""
