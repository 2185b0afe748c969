"""A physics-informed network before it is trained: its spectrum, and what each method would make of it."""
