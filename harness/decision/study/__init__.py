"""A study's files as evidence: read, judged, recorded, handed to the report."""
