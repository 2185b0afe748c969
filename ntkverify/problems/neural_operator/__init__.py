"""Shallow neural operators trained in branch and trunk: their limits, gradient descent, gradient flow."""
