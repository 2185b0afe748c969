"""How residuals move under a method, as perturbed linear recursions."""
