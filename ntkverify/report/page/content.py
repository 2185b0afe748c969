"""What a page says of one theorem, piece by piece, ready for its template."""

from __future__ import annotations

import html
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from ntkverify import glossary
from ntkverify.report.files.changes import Change
from ntkverify.report.files.documents import settings_in_words
from ntkverify.report.files.schema import GOOD, Record, counts
from ntkverify.report.graph.drawing import draw
from ntkverify.report.graph.model import ProofGraph, proof_graph
from ntkverify.report.page.formulas import formula, statement
from ntkverify.report.page.plots import trajectory
from ntkverify.report.page.searched import Table
from ntkverify.report.page.trajectories import Curves
from ntkverify.report.sentences import marked
from ntkverify.report.table import format_slack, why_vacuous
from ntkverify.theorem.parts import Claim
from ntkverify.theorem.theorem import Theorem


@dataclass(frozen=True)
class Figure:
    """A figure, what it shows, and what makes it again."""

    body: str
    caption: str
    command: str


@dataclass(frozen=True)
class Row:
    """A claim with its verdict, ready for the page."""

    anchor: str
    node: str
    kind: str
    sentence: str
    bound: str
    quantifier: str
    verdict: str
    slack: str
    exercised: str
    level: str
    missed: str
    source: str
    notes: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def style(self) -> str:
        """The class of its verdict."""
        return f"v-{self.verdict.replace(' ', '-')}"


@dataclass(frozen=True)
class Bar:
    """A line of the slack profile: from 1 to the slack, in per cent of the axis."""

    sentence: str
    anchor: str
    start: float
    length: float
    slack: str
    style: str


@dataclass(frozen=True)
class Profile:
    """The slack profile: lines, loosest first, and the ticks of its axis."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    one: float


@dataclass(frozen=True)
class AtData:
    """What a theorem says at given data, ready for the page."""

    heading: str
    rows: tuple[tuple[str, str, str], ...]
    assumptions: tuple[tuple[str, str, str], ...]
    beyond: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Part:
    """A theorem as the page shows it."""

    theorem: Theorem
    slug: str
    statement: str
    summary: Mapping[str, int]
    rows: tuple[Row, ...]
    controls: tuple[Row, ...]
    graph: Figure
    about: tuple[tuple[int, str], ...]
    nodes: int
    profile: Profile | None
    profile_command: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    constants: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    errata: tuple[str, ...]
    loosest: str
    levels: str
    is_well: bool
    command: str
    at: AtData | None = None
    settings: str = ""
    families: tuple[tuple[str, str], ...] = field(default=())


def part_of(
    theorem: Theorem,
    records: Sequence[Record],
    *,
    curves: Iterable[Curves] = (),
    tables: Iterable[Table] = (),
    changed: Sequence[Change] = (),
    words: Mapping[str, str],
    at: AtData | None = None,
) -> Part:
    """Everything that the page says of a theorem.

    Parameters
    ----------
    theorem : Theorem
        Which.
    records : sequence of mapping
        The verdicts on its claims.
    curves, tables, changed
        Trajectories, what searches have found, and what is different from another file of verdicts.
    words : mapping of str to str
        Commands: ``check`` for the verdicts, ``report`` for the figures that are run for the page.
    at : AtData, optional
        What it says at given data.
    """
    slug = re.sub(r"\W+", "-", theorem.id or theorem.title).strip("-").lower()
    graph, known = proof_graph(theorem, records), {record["claim"]: record for record in records}
    beyond = dict(at.beyond) if at else {}
    rows = [
        _row(theorem, claim, known.get(name), slug, graph, changed, beyond.get(name, ""))
        for name, claim in theorem.claims.items()
    ]
    return Part(
        theorem=theorem,
        slug=slug,
        statement=statement(theorem.statement),
        summary=counts(records),
        rows=tuple(row for row in rows if row.kind != "control"),
        controls=tuple(row for row in rows if row.kind == "control"),
        graph=Figure(draw(graph, slug, title=f"the proof of: {theorem.title}").svg, "", words["graph"]),
        about=tuple(_about(graph, slug)),
        nodes=len(graph.nodes),
        profile=_profile(theorem, known, slug),
        profile_command=words["check"],
        figures=tuple(_figures(curves, slug, words["report"])),
        tables=tuple(tables),
        constants=tuple(_constants(theorem)),
        errata=tuple(marked(" ".join(text.split())) for text in theorem.errata),
        loosest=_loosest(graph),
        levels=_levels(records),
        is_well=bool(records) and all(record["verdict"] in GOOD for record in records),
        command=words["check"],
        at=at,
        settings=settings_in_words({str(r["settings"]): r["settings"] for r in records if r["settings"]}.values()),
        families=tuple(_families(theorem)),
    )


def _figures(curves: Iterable[Curves], slug: str, command: str) -> Iterator[Figure]:
    for number, one in enumerate(curves):
        yield Figure(trajectory(one, salt=f"{slug}-{number}"), _caption(one), command)


def _loosest(graph: ProofGraph) -> str:
    """The claim with the most slack, and how much."""
    if not graph.loosest:
        return ""
    node = graph.nodes[graph.loosest]
    return f"×{format_slack(node.slack)}, {marked(node.name)}"


def at_data(at: Any, report: Any) -> AtData:
    """What a theorem says at given data, from `ntkverify.data.at.TheoremAt` and the report of its check."""
    met = [
        (m.name, "missed" if m.fails else "open" if math.isnan(m.margin) else "met", m.words) for m in at.assumptions
    ]
    return AtData(report.heading, tuple(at.rows()), tuple(met), tuple(report.beyond.items()), tuple(report.left_out))


# -- claims -------------------------------------------------------------------------------------------------------


def _row(
    theorem: Theorem,
    claim: Claim,
    record: Record | None,
    slug: str,
    graph: ProofGraph,
    changed: Sequence[Change],
    beyond: str,
) -> Row:
    number = list(theorem.claims).index(claim.name)
    found: Record = record or {}
    notes = [f"beyond the theorem, where a failure refutes nothing: {beyond}" if beyond and record else ""]
    notes += [found.get("evidence", ""), found.get("remedy", ""), why_vacuous(found) if found else ""]
    notes += (
        [f"conditions on an event ({claim.given.__name__})"]
        if claim.given and claim.given.__name__ != "<lambda>"
        else []
    )
    uses = [graph.nodes[name].name for name, end in graph.edges if end == claim.name and name in theorem.claims]
    notes += [f"uses: {'; '.join(uses)}"] if uses else []
    mine = [c for c in changed if c.claim == claim.name]
    return Row(
        anchor=f"{slug}-c{number}",
        node=f"{slug}-n{graph.numbers[claim.name]}" if claim.name in graph.numbers else "",
        kind=claim.kind,
        sentence=marked(claim.name),
        bound=_bound(claim),
        quantifier=claim.quantifier.name.replace("_", " "),
        verdict=found.get("verdict", "not checked"),
        slack=format_slack(found.get("slack")),
        exercised=f"{found['instances'] - found['vacuous']:,} of {found['instances']:,}" if found else "-",
        level=found.get("level", ""),
        missed=marked(found.get("missed", "")),
        source=theorem.label_of(claim),
        notes=tuple(marked(note) for note in notes if note),
        changed=tuple(f"{c.what}: {c.before} → {c.after}" if c.before else c.what for c in mine),
    )


def _bound(claim: Claim) -> str:
    if claim.bound is None:
        return ""
    sign = r"\ge" if claim.from_below else r"\le"
    return formula(f"{sign} {glossary.latex(claim.bound)}")


def _levels(records: Iterable[Record]) -> str:
    """On what the verdicts rest, and how many on each."""
    words = [record["level"].partition(",")[0] for record in records if record["level"]]
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words), key=lambda w: -words.count(w)))


def _about(graph: ProofGraph, slug: str) -> Iterable[tuple[int, str]]:
    """What stands below the graph while a node is in focus."""
    for name, node in graph.nodes.items():
        said = [f"<b>{node.kind}</b> {marked(node.name)}"]
        if node.kind == "constant":
            said.append(f"{marked(node.meaning)}")
        elif node.kind != "premise":
            said.append(f"{node.verdict}" + (f", slack {format_slack(node.slack)}" if node.slack is not None else ""))
            said += ["and so does everything below"] if node.sound else []
            said += [f"control, {c.verdict}: {marked(c.name)}" for c in node.controls]
        yield graph.numbers[name], ". ".join(said)


# -- slack --------------------------------------------------------------------------------------------------------


def _profile(theorem: Theorem, known: Mapping[str, Record], slug: str) -> Profile | None:
    """Slacks on a logarithmic axis; those of identities are rounding, and infinite ones have no place."""
    found = []
    for number, claim in enumerate(theorem.claims.values()):
        record = known.get(claim.name)
        if record and record["quantifier"] != "identity" and record["slack"] and record["slack"] > 0:
            found.append((float(record["slack"]), claim, record["verdict"], f"{slug}-c{number}"))
    if len(found) < 2:
        return None
    low = math.floor(min(0.0, *(math.log10(slack) for slack, *_ in found)))
    high = max(math.ceil(max(math.log10(slack) for slack, *_ in found)), low + 1, 1)

    def place(slack: float) -> float:
        return 100 * (math.log10(slack) - low) / (high - low)

    bars = []
    for slack, claim, verdict, anchor in sorted(found, key=lambda one: -one[0]):
        start, end = sorted((place(1.0), place(slack)))
        style = f"{claim.kind} v-{verdict.replace(' ', '-')}"
        bars.append(Bar(marked(claim.name), anchor, start, end - start, format_slack(slack), style))
    step = math.ceil((high - low) / 6)
    ticks = [(place(10.0**power), _decade(power)) for power in range(low, high + 1) if power % step == 0]
    return Profile(tuple(bars), tuple(ticks), place(1.0))


def _decade(power: int) -> str:
    return f"{10.0**power:g}" if -3 < power < 4 else f"10<sup>{str(power).replace('-', '−')}</sup>"


# -- figures, constants, families ---------------------------------------------------------------------------------


def _caption(curves: Curves) -> str:
    sign = "lower bound" if curves.from_below else "bound"
    place = f"{curves.width:,} neurons on one data set of <q>{html.escape(curves.family)}</q>"
    return (
        f"{marked(curves.claim)}. <span class='key good'></span> measured, <span class='key seen'></span> {sign}: "
        f"median and range of {curves.draws} draws of {place}, each draw to be held against a bound of its own: "
        f"where they come closest the slack is {format_slack(curves.closest)}"
    )


def _constants(theorem: Theorem) -> Iterable[tuple[str, str, tuple[tuple[str, str], ...]]]:
    for constant in theorem.constants.values():
        written = f"{glossary.latex(constant.symbol)} = {glossary.latex(constant.expression)}"
        steps = [
            (what, made)
            for what, made in constant.derivation.steps
            if made != constant.expression or what != "defined as"
        ]
        derivation = tuple(
            (marked(what), formula(glossary.latex(sympy.sympify(made)), display=True)) for what, made in steps
        )
        yield formula(written, display=True), marked(constant.meaning), derivation


def _families(theorem: Theorem) -> Iterable[tuple[str, str]]:
    for family in theorem.families.values():
        count = ", ".join(f"{number:,} {profile}" for profile, number in family.counts.items())
        yield marked(family.name), count + (f"; only observed: {family.observed}" if family.observed else "")


def command(*words: str) -> str:
    """A command as a shell takes it."""
    return shlex.join(["ntkverify", *words])
