"""Executors that run generated text: CPU sweeps, matrix products, CUDA."""
