"""Links of proofs about physics-informed networks."""
