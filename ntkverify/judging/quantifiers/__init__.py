"""The quantifiers, one a file: what each asks of a claim and how its verdict is reached."""
