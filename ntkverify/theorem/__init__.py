"""The nouns: theorem, constant, claim, control, quantifier, instance."""
