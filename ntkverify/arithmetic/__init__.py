"""Numbers: walking an expression in any arithmetic, and balls as numbers, arrays and matrices."""
