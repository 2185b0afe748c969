"""What proofs about shallow neural operators share."""
