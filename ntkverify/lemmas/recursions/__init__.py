"""How residuals move, as perturbed linear recursions."""
