"""Links of proofs that theorems share."""
