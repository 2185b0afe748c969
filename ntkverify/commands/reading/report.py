"""``ntkverify report``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.commands import needs
from ntkverify.commands import options as shared
from ntkverify.commands.given import Given, data_options, only
from ntkverify.commands.group import BAD_INPUT, FOUND, WELL
from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.report.files.changes import Change
    from ntkverify.report.files.schema import Record
    from ntkverify.report.page.content import Part
    from ntkverify.report.page.searched import Table
    from ntkverify.theorem.theorem import Theorem

DRAWS = 12  #: of the weights, in figures
#: what a report may be, and which packages it needs besides
FORMS: dict[str, tuple[str, ...]] = {
    ".html": ("jinja2", "latex2mathml", "graphlay", "matplotlib"),
    ".svg": ("graphlay",),
    ".md": (),
    ".tex": (),
    ".txt": (),
    ".json": (),
}


@shared.command(
    "report",
    examples="""
ntkverify report --verdicts verdicts.jsonl
ntkverify report gradient_descent_regression -o review.html
ntkverify report --verdicts new.jsonl --against old.jsonl -o changes.md
ntkverify report gradient_descent_regression --data points.csv --unit --width 4096 --relax width""",
)
@shared.theorems
@click.option("--verdicts", metavar="FILE", help="Verdicts of `check --verdicts`.  [default: the last; else a check]")
@click.option("--against", metavar="FILE", help="Also say what is different from these verdicts.")
@click.option("--with", "searched", multiple=True, metavar="FILE", help="What `frontier` or `necessity --json` left.")
@click.option(
    "-o", "--out", default="report.html", show_default=True, metavar="FILE",
    help=f"What is written; its ending says as what: {' '.join(FORMS)}.",
)  # fmt: skip
@click.option(
    "--draws", type=click.IntRange(min=0), default=DRAWS, show_default=True, help="Draws of a figure; 0 for none."
)
@shared.profile
@shared.backend
@shared.entropy
@data_options()
@click.option("--relax", multiple=True, metavar="ASSUMPTION", help="With --data: no longer ask for it; repeatable.")
def command(
    theorems: list[Path],
    verdicts: str | None,
    against: str | None,
    searched: tuple[str, ...],
    out: str,
    draws: int,
    profile: str,
    backend: str | None,
    entropy: int,
    given: Given | None,
    relax: tuple[str, ...],
) -> int:
    """Write what was found as one file: a page with statements, graphs of proofs, slack and trajectories.

    The page needs nothing but itself. Verdicts are those of a file, or the last ones; a theorem that was not checked
    since it was changed is checked now. With --against the exit status is 1 where a claim that was well no longer is.
    """
    from ntkverify.report.files.changes import changes
    from ntkverify.report.files.schema import read_verdicts
    from ntkverify.report.page.searched import read_searched

    form = Path(out).suffix.lower()
    if form not in FORMS:
        raise NtkVerifyError(f"-o {out}: a report ends in one of {' '.join(FORMS)}; choose one of them.")
    needs.file(out, "--out")
    for package in FORMS[form]:
        needs.package(package, "write another kind of report, -o report.md")
    if relax and given is None:
        raise NtkVerifyError("--relax goes with --data; name your points with --data FILE.")
    if form == ".svg" and len(theorems) != 1:
        raise NtkVerifyError(
            f"-o {out}: a graph is of one theorem, but {len(theorems)} were named; name the one you mean."
        )
    old = read_verdicts(against).records if against else ()
    tables = read_searched(searched)
    settings = {"profile": profile, "entropy": entropy, "backend": backend}
    if given is not None:
        if verdicts:
            raise NtkVerifyError("--data draws networks on your points; leave --verdicts out.")
        writer: _Writer = _AtData(given, only(theorems), relax, settings, draws)
    else:
        writer = _Own(theorems, verdicts, settings, draws)
    records = writer.records
    asked = {record["theorem"] for record in records}
    changed = changes([record for record in old if record["theorem"] in asked], records) if against else []
    text = writer.written(form, tables, changed, against or "", _again(out, verdicts, against, searched))
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise NtkVerifyError(f"{out} can't be written ({error.strerror}); choose another --out.") from None
    _say(records, changed, against, out, len(text.encode()))
    return BAD_INPUT if writer.failed else FOUND if any(change.is_worse for change in changed) else WELL


class _Writer:
    """What a report is made of."""

    records: Sequence[Record] = ()
    failed = False

    def parts(self, tables: Sequence[Table], changed: Sequence[Change]) -> list[Part]:
        """The theorems of a page."""
        raise NotImplementedError

    def graph(self) -> str:
        """The graph of the one theorem, as a file."""
        raise NotImplementedError

    def written(self, form: str, tables: Sequence[Table], changed: Sequence[Change], against: str, again: str) -> str:
        """The text of the file."""
        from ntkverify.report.files.documents import latex_of, markdown_of, text_of
        from ntkverify.report.files.schema import Verdicts, document

        verdicts = Verdicts(tuple(self.records))
        if form == ".json":
            return document(self.records)
        if form == ".svg":
            return self.graph()
        if form != ".html":
            return {".md": markdown_of, ".tex": latex_of, ".txt": text_of}[form](verdicts, changed, against)
        from ntkverify.report.page.page import page_of

        return page_of(self.parts(tables, changed), changed=changed, against=against, command=again)


class _Own(_Writer):
    """Theorems on their own instances."""

    def __init__(self, paths: Sequence[Path], verdicts: str | None, settings: dict[str, Any], draws: int) -> None:
        from ntkverify.theorem.files import id_of

        self.file, self.settings, self.draws = verdicts, settings, draws
        if verdicts:
            self.records = _of_file(verdicts, [id_of(path) for path in paths])
        self.theorems = self._loaded(paths)
        if not verdicts:
            self.records = _last(self.theorems, settings)

    def _loaded(self, paths: Sequence[Path]) -> dict[Path, Theorem]:
        """The theorems; of several one that can't be loaded leaves the others."""
        from ntkverify.theorem.loading import load_theorem

        found = {}
        for path in paths:
            try:
                found[path] = load_theorem(path)
            except NtkVerifyError as error:
                if len(paths) == 1:
                    raise
                self.failed = True
                click.echo(f"ntkverify: {path}: {error}", err=True)
        return found

    def graph(self) -> str:
        from ntkverify.report.graph.drawing import standalone
        from ntkverify.report.graph.model import proof_graph

        (theorem,) = self.theorems.values()
        return standalone(proof_graph(theorem, self.records), "proof", title=f"the proof of: {theorem.title}")

    def parts(self, tables: Sequence[Table], changed: Sequence[Change]) -> list[Part]:
        from ntkverify.report import console
        from ntkverify.report.page.content import part_of
        from ntkverify.report.page.trajectories import curves_of

        found = []
        with console.progress("figures", len(self.theorems), unit="theorems", even=False) as bar:
            for theorem in self.theorems.values():
                bar.advance(1, theorem.id)
                curves = (
                    curves_of(
                        theorem, draws=self.draws, entropy=self.settings["entropy"], backend=self.settings["backend"]
                    )
                    if self.draws
                    else ()
                )
                found.append(
                    part_of(
                        theorem,
                        [record for record in self.records if record["theorem"] == theorem.id],
                        curves=curves,
                        tables=[table for table in tables if table.theorem == theorem.id],
                        changed=[change for change in changed if change.theorem == theorem.id],
                        words=self._commands(theorem),
                    )
                )
        return found

    def _commands(self, theorem: Theorem) -> dict[str, str]:
        from ntkverify.report.page.content import command

        made = next((r["settings"] for r in self.records if r["theorem"] == theorem.id and r["settings"]), None)
        settings = made or self.settings
        check = ["check", theorem.id]
        for name in ("profile", "entropy"):
            check += [f"--{name}", str(settings[name])] if settings.get(name) not in (None, "quick", 0) else []
        from_file = ["--verdicts", self.file] if self.file else []
        entropy = ["--entropy", str(self.settings["entropy"])] if self.settings["entropy"] else []
        draws = ["--draws", str(self.draws)] if self.draws != DRAWS else []
        return {
            "check": command(*check, "--full"),
            "graph": command("report", theorem.id, *from_file, "-o", "graph.svg"),
            "report": command("report", theorem.id, *from_file, *draws, *entropy),
        }


class _AtData(_Writer):
    """A theorem at data of the user's own."""

    def __init__(
        self, given: Given, theorem: Theorem, relax: tuple[str, ...], settings: dict[str, Any], draws: int
    ) -> None:
        from ntkverify.report import console
        from ntkverify.report.files.schema import settings_of, whole

        self.at: Any = given.at(theorem, relax=relax, backend=settings["backend"])
        self.draws, self.settings = draws, settings
        chosen = {"profile": settings["profile"], "entropy": settings["entropy"]}
        with console.progress("checking", max(1, len(self.at.theorem.claims)), unit="claims", even=False) as bar:
            self.report = self.at.check(progress=lambda claim: bar.advance(1, claim), **chosen)
        made = {**settings_of(**settings), "data": self.report.heading}
        self.records = [whole(row, made) for row in self.report.to_dicts()]

    def graph(self) -> str:
        from ntkverify.report.graph.drawing import standalone
        from ntkverify.report.graph.model import proof_graph

        graph = proof_graph(self.at.whole, self.records)
        return standalone(graph, "proof", title=f"the proof of: {self.at.whole.title}, at {self.at.data.source}")

    def parts(self, tables: Sequence[Table], changed: Sequence[Change]) -> list[Part]:
        import sys

        from ntkverify.report.page.content import at_data, command, part_of
        from ntkverify.report.page.trajectories import curves_of

        again = command(*sys.argv[1:]) if Path(sys.argv[0]).name.startswith(("ntkverify", "__main__")) else ""
        words = dict.fromkeys(
            ("check", "graph", "report"), again or command("report", self.at.whole.id, "--data", "FILE")
        )
        curves = (
            curves_of(
                self.at.theorem, draws=self.draws, entropy=self.settings["entropy"], backend=self.settings["backend"]
            )
            if self.draws
            else ()
        )
        return [
            part_of(
                self.at.whole, self.records, curves=curves, tables=tables, changed=changed, words=words,
                at=at_data(self.at, self.report),
            )
        ]  # fmt: skip


def _of_file(file: str, names: Sequence[str]) -> list[Record]:
    """The verdicts of a file on the theorems that were named."""
    from ntkverify.report.files.schema import read_verdicts

    read = read_verdicts(file)
    found = [record for name in names for record in read.of(name)]
    if not found:
        raise NtkVerifyError(
            f"{file} has no verdict on {', '.join(names[:3])}; it is about {', '.join(read.theorems[:3])}: name one "
            "of these."
        )
    missing = [name for name in names if not read.of(name)]
    if missing:
        click.echo(f"ntkverify: not in {file}, and shown as not checked: {', '.join(missing)}.", err=True)
    return found


def _last(theorems: Mapping[Path, Theorem], settings: dict[str, Any]) -> list[Record]:
    """The last verdicts on each theorem with these settings; what was not checked since it was changed is checked."""
    from ntkverify.commands.checking.kept import keep, kept
    from ntkverify.commands.checking.session import run_session
    from ntkverify.report import console
    from ntkverify.report.files.schema import settings_of, whole
    from ntkverify.theorem.files import id_of

    asked = {"profile": settings["profile"], "entropy": settings["entropy"]}
    known: dict[str, list[Any]] = {}
    for path, theorem in theorems.items():
        last = kept(path)
        if last is not None and not last["changed"] and last["settings"] == asked:
            by_claim = {record["claim"]: record for record in last["records"]}
            if by_claim.keys() == theorem.claims.keys():
                known[theorem.id] = [by_claim[name] for name in theorem.claims]
    open_ones = [path for path, theorem in theorems.items() if theorem.id not in known]
    if open_ones:
        plugin = ["--ntk-profile", asked["profile"], "--ntk-entropy", str(asked["entropy"])]
        plugin += ["--ntk-backend", settings["backend"]] if settings["backend"] else []
        with console.progress("checking", 1, unit="claims", even=False) as bar:
            session = run_session(open_ones, plugin, seen=lambda record: bar.advance(1, record["claim"]))
        if session.interrupted:
            raise click.Abort
        if session.refused:
            raise NtkVerifyError(session.refused[0])
        for path in open_ones:
            mine = [record for record in session.records if record["theorem"] == id_of(path)]
            keep(path, [r for r in mine if r["verdict"] != "not judged"], settings=asked)
            known[id_of(path)] = mine
    made = settings_of(**settings)
    return [whole(record, made) for theorem in theorems.values() for record in known[theorem.id]]


def _again(out: str, verdicts: str | None, against: str | None, searched: Sequence[str]) -> str:
    """The command of the page as a whole."""
    import sys

    from ntkverify.report.page.content import command

    if Path(sys.argv[0]).name.startswith(("ntkverify", "__main__")):
        return command(*sys.argv[1:])
    words = [*(["--verdicts", verdicts] if verdicts else []), *(["--against", against] if against else [])]
    return command("report", *words, *(word for file in searched for word in ("--with", file)), "-o", out)


def _say(records: Sequence[Record], changed: Sequence[Change], against: str | None, out: str, size: int) -> None:
    from ntkverify.report.files.schema import counts

    print(", ".join(f"{count} {word}" for word, count in counts(records).items()))
    if against:
        worse = sum(change.is_worse for change in changed)
        print(f"{len(changed)} differences from {against}" + (f", {worse} of them for the worse" if worse else ""))
    print(f"written: {out} ({size / 1e6:.2f} MB)")
