"""A theorem at given data as text, as JSON and in a notebook."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from ntkverify.data.cost import bytes_in_words, count_in_words, seconds_in_words
from ntkverify.display import details_html, table_html, tagged
from ntkverify.execution.machine.memory import free_memory
from ntkverify.report.checked import A_CONTROL

Row = tuple[str, str, str]
_VALUE = 13  # columns of a value: lines break alike whatever a machine takes


def head_of(at: Any) -> list[str]:
    """The theorem, where it comes from, and the data."""
    blocks = ", ".join(f"{name} {'x'.join(map(str, np.shape(x)))}" for name, x in at.data.blocks.items())
    absent = [name for name in at.shapes if name not in at.data.blocks]
    missing = f"; not given: {', '.join(absent)}" if absent else ""
    columns = [f"columns: {at.data.columns_in_words}"] if at.data.columns else []
    return [at.whole.title, f"({at.whole.source.label})", f"at {at.data.source}: {blocks}{missing}", *columns]


def rows_of(at: Any, *, with_cost: bool = True) -> list[Row]:
    """What, how much, and how that is known."""
    limit, roles, found = at.limit, at.whole.roles, list[Row]()
    if limit is not None:
        found.append(("lambda_0", f"{limit.least:.6g}", limit.words))
        condition = "at most" if at.bounds else f"condition number {limit.condition:.3g}"
        found.append(("||H^inf||", f"{limit.norm:.6g}", condition))
    if at.largest_step is not None:
        found.append(("largest step", f"{at.largest_step:.6g}", "by these bounds, as all below" if at.bounds else ""))
    if at.step and at.step != at.largest_step:
        given = "as asked for" if at.asked_step else f"as {at.base.name!r} draws it"
        found.append(("step", f"{at.step:.6g}", given))
    if at.sets_step:
        found.append(("step", "of each run", f"which sets its own; {at.steps} of them in {at.base.name!r}"))
    for prescribed in at.prescribed:
        name = f"width, {prescribed.split} split" if prescribed.split else "prescribed width"
        found.append((name, count_in_words(prescribed.width), _parameters(at)))
    if not at.prescribed:
        drawn = f"{at.base.name!r} has {count_in_words(at.drawn.width)} neurons"
        found.append(("prescribed width", "none", drawn))
    if at.asked_width:
        found.append(("width", count_in_words(at.width), "as asked for"))
    if at.rate is not None:
        known = [] if roles.rate.is_number else [at.rate_words, at.rate_known]
        found.append(("rate", f"{at.rate:.6g}", ", ".join(word for word in known if word)))
    if at.contracts is not None:
        claim, factor = at.contracts
        found.append(("factor of a step", f"{factor:.8g}", f"at most: {claim.name}"))
        steps = at.steps_to()
        found.append(("steps to 1e-6", "none" if steps is None else f"{steps:,}", "until that bound is at 1e-6"))
    cost = at.cost() if with_cost else None
    if cost is not None:
        fits = "" if cost.fits else f"but {bytes_in_words(free_memory())} are free"
        found.append(("memory", bytes_in_words(cost.memory), fits))
        what = f"{cost.steps:,} steps" if cost.steps else "one draw"
        how = f"about, for {what} of {count_in_words(cost.width)} neurons on {cost.backend!r} here"
        found.append(("time", seconds_in_words(cost.seconds), how))
    return found


def _parameters(at: Any) -> str:
    return ", ".join(f"{name} = {value:.4g}" for name, value in at.given_parameters.items())


def lines_of(at: Any, *, width: int) -> list[str]:
    """Columns of what, how much, and how that is known; assumptions; how many claims say something."""
    rows = rows_of(at)
    first, second = (max(least, *(len(row[i]) for row in rows)) + 2 for i, least in ((0, 0), (1, _VALUE)))
    found = [*head_of(at), ""]
    for what, value, how in rows:
        wrapped = textwrap.wrap(how, max(30, width - first - second)) or [""]
        found.append(f"{what:<{first}}{value:<{second}}{wrapped[0]}".rstrip())
        found += [" " * (first + second) + line for line in wrapped[1:]]
    if at.assumptions:
        found += ["", "assumptions"]
        longest = max(len(met.name) for met in at.assumptions)
        for met in at.assumptions:
            mark = "no" if met.fails else "?" if math.isnan(met.margin) else "ok"
            line = f"  {mark:<3}{met.name:<{longest}}  {met.words}"
            found += [line] if len(line) <= width else [f"  {mark:<3}{met.name}", f"       {met.words}"]
    return [*found, "", claims_line(at)]


def claims_line(at: Any) -> str:
    """How many claims say something here, and what keeps the others out."""
    total = len(at.whole.claims)
    reasons = [why for _, why in at.left_out if why != A_CONTROL]
    missed = [why for why in reasons if why.startswith("assumes ")]
    said = f"{total - len(at.left_out)} of {total} claims can be put to the test here"
    return said + (f"; {len(missed)} fail an assumption" if missed else "") + "."


def dict_of(at: Any) -> dict[str, Any]:
    """Numbers by name, ready for JSON."""
    limit, cost, contracts = at.limit, at.cost(), at.contracts
    return {
        "theorem": at.whole.id or at.whole.title,
        "data": {name: list(np.shape(x)) for name, x in at.data.blocks.items()},
        "source": at.data.source,
        "columns": at.data.columns,
        "lambda_0": None if limit is None else limit.least,
        "lambda_0_at_most": at.bounds.bounds.upper if at.bounds else None,
        "lambda_0_known": None if limit is None else limit.words,
        "limit_norm": None if limit is None else limit.norm,
        "largest_step": at.largest_step,
        "step": None if at.sets_step else at.step,
        "width": at.width,
        "prescribed": {p.split or "width": p.width for p in at.prescribed},
        "parameters": at.parameters,
        "rate": at.rate,
        "contraction": None if contracts is None else contracts[1],
        "steps_to_1e-6": at.steps_to(),
        "memory": None if cost is None else cost.memory,
        "seconds": None if cost is None else cost.seconds,
        "backend": None if cost is None else cost.backend,
        "assumptions": {m.name: None if math.isnan(m.margin) else m.margin for m in at.assumptions},
        "left_out": [list(pair) for pair in at.left_out],
    }


def html_of(at: Any) -> str:
    """A table, and what opens."""
    rows = rows_of(at, with_cost=False)
    met = [(m.name, m.words) for m in at.assumptions]
    return "".join(
        [
            tagged("strong", at.whole.title),
            *(tagged("div", line) for line in head_of(at)[1:]),
            table_html(("", "", ""), rows),
            details_html("assumptions", table_html(("assumption", "here"), met)),
            details_html(claims_line(at), table_html(("left out", "why"), at.left_out)),
        ]
    )


class Shown:
    """How `ntkverify.data.at.TheoremAt` is shown."""

    def __repr__(self: Any) -> str:
        step = "each run's own step" if self.sets_step else f"step {self.step:.3g}"
        return f"<{self.whole.title!r} at {self.data.source}: {count_in_words(self.width)} neurons, {step}>"

    def rows(self) -> list[Row]:
        """What the theorem says here: what, how much, and how that is known."""
        return rows_of(self)

    def lines(self, *, width: int = 80) -> list[str]:
        """The same as lines of text, with assumptions and what would be put to the test."""
        return lines_of(self, width=width)

    def to_dict(self) -> dict[str, Any]:
        """The same ready for JSON."""
        return dict_of(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_of(self)
