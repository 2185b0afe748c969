"""From a run to a verdict: what one run says, what all runs say, and what the check is worth."""
