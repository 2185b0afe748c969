"""What the parts of `ntkverify.lemmas` have in common: a theorem to write into, and a name that ``uses=`` may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ntkverify.theorem.theorem import Theorem

Register = Callable[[Callable[..., Any]], Callable[..., Any]]


class Part:
    """A link that many proofs share: writes its constants, claims and controls into a theorem.

    Its claims are the theorem's own in every respect. They keep their draws whoever else uses the part, for draws
    depend on the family of instances alone.

    Parameters
    ----------
    theorem : Theorem
        Receives what the part brings.
    """

    name = "part"

    def __init__(self, theorem: Theorem) -> None:
        self.theorem = theorem

    def lemma(self, sentence: str, **options: Any) -> Register:
        """Add a link of the proof; options as for `Theorem.conclusion`."""
        return self.theorem.lemma(sentence, part=self.name, **options)

    def conclusion(self, sentence: str, **options: Any) -> Register:
        """Add what is concluded; options as for `Theorem.conclusion`."""
        return self.theorem.conclusion(sentence, part=self.name, **options)

    def control(self, sentence: str, **options: Any) -> Register:
        """Add a claim that is false on purpose."""
        return self.theorem.control(sentence, part=self.name, **options)
