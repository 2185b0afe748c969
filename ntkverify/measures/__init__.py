"""What claims measure: sweeps over the neurons that record residuals, Gram matrices, drift and remainders."""
