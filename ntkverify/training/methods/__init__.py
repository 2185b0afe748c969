"""Training methods: first order, second order."""
