"""Commands that look for what breaks a theorem, and that deal with what they have found."""
