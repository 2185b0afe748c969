"""Runs of natural gradient descent: its first step alone, and damped."""
