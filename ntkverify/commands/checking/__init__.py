"""Commands that put theorems to their own instances: verdicts, slack, mutants."""
