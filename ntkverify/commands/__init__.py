"""The commands of `ntkverify`, one file each."""
