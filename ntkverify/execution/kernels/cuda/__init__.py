"""Kernels for a device, printed from the same statements as the processor's."""
