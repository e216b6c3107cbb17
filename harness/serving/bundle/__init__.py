"""The bundle: one folder that serves without torch; how it is written, opened and scored."""
