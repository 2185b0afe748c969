"""Where a conclusion begins to hold: bisection and its curves."""
