"""How residuals move under methods other than gradient descent, as perturbed linear recursions."""
