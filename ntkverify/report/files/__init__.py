"""What a check leaves in files: verdicts, documents made of them, evaluations."""
