"""What a check found, as an object: verdicts as rows, as a table, in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntkverify.display import data_frame, details_html, table_html, tagged
from ntkverify.judging.check import Check
from ntkverify.judging.verdict import Verdict
from ntkverify.report.table import format_slack, verdict_table
from ntkverify.symbolic.constants.derived import plain_latex
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.names import chosen
from ntkverify.theorem.theorem import Theorem

#: why controls are left out where a theorem is checked on other instances than its own
A_CONTROL = "false on purpose, on instances of their own"


@dataclass(frozen=True, repr=False)
class Report:
    """The verdicts on a theorem's claims.

    Parameters
    ----------
    title : str
        The theorem.
    verdicts : tuple of Verdict
        In the order of the module.
    left_out : tuple of (str, str)
        Claims that were not put to the test, and why.
    heading : str
        What was checked, where that is not the theorem's own instances.
    beyond : dict of str to str
        Claims that were put to the test where the theorem says nothing of them, and why it does not: a failure there
        refutes nothing.
    """

    title: str
    verdicts: tuple[Verdict, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    heading: str = ""
    beyond: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every claim holds (or is only to be observed) and every control is refuted, within assumptions."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.within)

    @property
    def within(self) -> list[Verdict]:
        """Verdicts where every assumption of the claim was asked for or met."""
        return [verdict for verdict in self.verdicts if verdict.claim not in self.beyond]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __getitem__(self, claim: str) -> Verdict:
        """The verdict on a claim, by its sentence or a part that only one has."""
        by_name = {verdict.claim: verdict for verdict in self.verdicts}
        return by_name[chosen(claim, by_name, what="claim", of="the report")]

    @property
    def counts(self) -> dict[str, int]:
        """How many claims have which verdict, commonest first; those beyond the theorem apart."""
        return _counted(self.within)

    @property
    def summary(self) -> str:
        """One line: 24 holds, 5 refuted; beyond the theorem 3 holds; 3 left out."""
        beyond = [v for v in self.verdicts if v.claim in self.beyond]
        parts = [_words(_counted(self.within))] if self.within or not beyond else []
        parts += [f"beyond the theorem {_words(_counted(beyond))}"] if beyond else []
        parts += [f"{len(self.left_out)} left out"] if self.left_out else []
        return "; ".join(parts)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a verdict, ready for JSON."""
        return [verdict.to_dict() for verdict in self.verdicts]

    def to_frame(self) -> Any:
        """A pandas data frame with one row a verdict; needs pandas."""
        return data_frame(self.to_dicts())

    def lines(self, *, width: int = 100) -> list[str]:
        """The table of verdicts, those beyond the assumptions apart, and what was left out by reason."""
        found = [self.heading, ""] if self.heading else []
        found += verdict_table([v.to_dict() for v in self.within], width=width)
        for missed in dict.fromkeys(self.beyond.values()):
            rows = [v.to_dict() for v in self.verdicts if self.beyond.get(v.claim) == missed]
            if rows:
                found += ["", f"beyond the theorem: {missed}", *verdict_table(rows, width=width)]
        found += ["", *self.left_out_lines(width=width)] if self.left_out else []
        return [*found, "", self.summary]

    def left_out_lines(self, *, width: int | None = None) -> list[str]:
        """Claims that were left out, by reason; cut to a width if one is given."""
        found = ["left out:"]
        for why in dict.fromkeys(why for _, why in self.left_out):
            claims = [claim for claim, other in self.left_out if other == why]
            found += [f"  {len(claims)}: {why}", *(() if why == A_CONTROL else (f"     {claim}" for claim in claims))]
        return [line if width is None or len(line) <= width else f"{line[: width - 1]}…" for line in found]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<Report on {self.title!r}: {self.summary}>"

    def _repr_latex_(self) -> str:
        """A tabular environment."""
        rows = [(v.claim, v.shown, format_slack(v.slack), str(v.instances)) for v in self]
        lines = [" & ".join(map(plain_latex, row)) + r" \\" for row in (("claim", "verdict", "slack", "draws"), *rows)]
        return "\n".join([r"\begin{tabular}{p{0.6\linewidth}lrr}", *lines, r"\end{tabular}"])

    def _repr_html_(self) -> str:
        rows = [(v.claim, v.quantifier, v.shown, format_slack(v.slack), v.instances, v.missed, v.level) for v in self]
        headings = ("claim", "quantifier", "verdict", "slack", "instances", "would have missed", "rests on")
        table = table_html(headings, rows)
        left = details_html(f"{len(self.left_out)} left out", table_html(("claim", "why"), self.left_out))
        heads = [tagged("strong", self.title), *(tagged("p", line) for line in (self.heading, self.summary) if line)]
        return "".join([*heads, details_html("verdicts", table), left if self.left_out else ""])


def _counted(verdicts: Sequence[Verdict]) -> dict[str, int]:
    words = [verdict.shown for verdict in verdicts]
    return {word: words.count(word) for word in sorted(dict.fromkeys(words), key=lambda w: -words.count(w))}


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "no claim was put to the test"


def check_theorem(
    theorem: Theorem | str | Path,
    *,
    claims: Sequence[str] | None = None,
    profile: str = "quick",
    backend: str | None = None,
    entropy: int = 0,
    progress: Callable[[str], object] = lambda claim: None,
) -> Report:
    """Check a theorem from Python: what ``pytest theorem.py`` does, as an object.

    Parameters
    ----------
    theorem : Theorem or path
        A theorem, or the file of its module.
    claims : sequence of str, optional
        Only these, by their sentences or a part that only one has.
    profile, backend, entropy
        As for `ntkverify.judging.check.Check`.
    progress : callable
        Called with every claim before it is judged.

    Raises
    ------
    NtkVerifyError
        If the theorem lacks a part, or has no such claim.

    Examples
    --------
    >>> check_theorem("theorems/natural_gradient/gauss_newton_identity.py").passed  # doctest: +SKIP
    True
    """
    if not isinstance(theorem, Theorem):
        theorem = load_theorem(theorem)
    else:
        theorem.validate()
    of = f"theorem {theorem.title!r}"
    names = [chosen(name, theorem.claims, what="claim", of=of) for name in claims or theorem.claims]
    check = Check(theorem, profile=profile, backend=backend, entropy=entropy)
    check.refuse_unknown_symbols()
    verdicts = []
    for name in names:
        progress(name)
        verdicts.append(check.verdict(theorem.claims[name]))
    return Report(theorem.title, tuple(verdicts))
