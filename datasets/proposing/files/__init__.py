"""The files of a folder, and samples of its tables."""
