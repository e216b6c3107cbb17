"""The frontier under uncertainty, the decision record and its evidence."""
