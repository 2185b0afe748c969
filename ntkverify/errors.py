"""The one error type for anything a user can mend."""


class NtkVerifyError(ValueError):
    """Bad input: one sentence that says what was wrong, where, and what to do."""
