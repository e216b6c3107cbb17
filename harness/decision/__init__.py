"""The uncertain frontier, the policy that decides, and how firm the decision is."""
