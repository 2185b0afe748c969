"""What becomes of a suspect: made small, certified in balls or drawn anew, written down, replayed."""
