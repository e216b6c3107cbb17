"""What is left of a trained strategy when a modality is hidden at serving time."""
