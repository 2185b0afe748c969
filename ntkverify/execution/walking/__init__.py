"""Executors that walk the expression: arrays of any namespace, balls, and the bound of their rounding."""
