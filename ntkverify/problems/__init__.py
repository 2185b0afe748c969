"""What is trained: a network with residuals, and the run that measures it."""
