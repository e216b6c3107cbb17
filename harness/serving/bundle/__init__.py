"""The bundle: one folder that serves without torch; written, opened, scored by."""
