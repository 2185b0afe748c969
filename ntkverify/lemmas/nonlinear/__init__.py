"""Links of proofs about nonlinear residuals."""
