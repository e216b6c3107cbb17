"""Click models: composed from parts, controls, and the published ones."""
