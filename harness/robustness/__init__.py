"""How a trained strategy scores when a modality is hidden or disturbed at serving time."""
