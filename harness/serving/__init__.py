"""The exported graph, the bundle that ships, and the measurement of its latency and cost."""
