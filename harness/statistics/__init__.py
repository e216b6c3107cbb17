"""Paired comparison of strategies: influence values, intervals, verdicts, planner."""
