"""Small changes of meaning and what the tests make of them: the parts of `tools/mutants.py`."""
