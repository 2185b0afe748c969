"""The symbolic half of the toolkit: imports nothing else of the library."""
