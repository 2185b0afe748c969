"""Expressions: the functions of neurons, their pieces, majorants, and what is kept between sessions."""
