"""The graph of a proof with the verdict and the slack of each of its links."""
