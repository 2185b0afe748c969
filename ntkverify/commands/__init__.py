"""The commands of `ntkverify`, one file each, and what they share."""
