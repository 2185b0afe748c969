"""A theorem at given data: what it says there, what it would cost to see, and which of its claims hold."""
