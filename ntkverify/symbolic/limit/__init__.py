"""Infinite width: kernels and limit Gram matrices of a neuron, enclosed in balls where asked."""
