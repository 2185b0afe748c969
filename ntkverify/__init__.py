"""Check theorems about wide two-layer networks, symbolically and numerically."""

__version__ = "0.1.0"
