"""How two-layer ReLU regression starts: its limit Gram matrix and its outputs."""
