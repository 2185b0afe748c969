"""Writes the text of fused kernels for a neuron: sweeps, panels, tiles, CUDA."""
