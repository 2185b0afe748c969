"""What ``ntkverify report`` writes: theorems on their own instances, or one at data of the user's own."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.report.files.changes import Change
    from ntkverify.report.files.schema import Record
    from ntkverify.report.page.content import Part
    from ntkverify.report.page.searched import Table
    from ntkverify.report.page.trajectories import Curves
    from ntkverify.theorem.theorem import Theorem

DRAWS = 12  #: of a curve where nobody says otherwise


class Writer(ABC):
    """What a report is made of."""

    records: Sequence[Record] = ()
    failed = False
    settings: dict[str, Any]
    curve_draws: int

    @property
    def shown(self) -> Sequence[Record]:
        """The same in words for people."""
        return self.records

    def curves(self, theorem: Theorem) -> Iterable[Curves]:
        """What a theorem's claims measure along training."""
        from ntkverify.report.page.trajectories import curves_of

        settings = {name: self.settings[name] for name in ("entropy", "backend")}
        return curves_of(theorem, draws=self.curve_draws, **settings)

    @abstractmethod
    def parts(self, tables: Sequence[Table], changed: Sequence[Change]) -> list[Part]:
        """The theorems of a page."""

    @abstractmethod
    def graph(self) -> str:
        """The graph of the one theorem, as a file."""

    def written(self, form: str, tables: Sequence[Table], changed: Sequence[Change], against: str, again: str) -> str:
        """The text of the file."""
        from ntkverify.report.files.documents import latex_of, markdown_of, text_of
        from ntkverify.report.files.schema import Verdicts, document

        verdicts = Verdicts(tuple(self.shown))
        if form == ".json":
            return document(self.records)
        if form == ".svg":
            return self.graph()
        if form != ".html":
            return {".md": markdown_of, ".tex": latex_of, ".txt": text_of}[form](verdicts, changed, against)
        from ntkverify.report.page.page import page_of

        return page_of(self.parts(tables, changed), changed=changed, against=against, command=again)


class Own(Writer):
    """Theorems on their own instances."""

    def __init__(
        self, paths: Sequence[Path], verdicts: str | None, settings: dict[str, Any], *, curve_draws: int
    ) -> None:
        from ntkverify.theorem.files import id_of

        self.file, self.settings, self.curve_draws = verdicts, settings, curve_draws
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

        found = []
        with console.progress("figures", len(self.theorems), unit="theorems", even=False) as bar:
            for theorem in self.theorems.values():
                bar.advance(1, theorem.id)
                found.append(
                    part_of(
                        theorem,
                        [record for record in self.records if record["theorem"] == theorem.id],
                        curves=self.curves(theorem),
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
        draws = ["--curve-draws", str(self.curve_draws)] if self.curve_draws != DRAWS else []
        return {
            "check": command(*check, "--full"),
            "graph": command("report", theorem.id, *from_file, "-o", "graph.svg"),
            "report": command("report", theorem.id, *from_file, *draws, *entropy),
        }


class AtData(Writer):
    """A theorem at data of the user's own."""

    def __init__(self, at: Any, settings: dict[str, Any], *, draws: int | None, curve_draws: int) -> None:
        from ntkverify.report import console
        from ntkverify.report.files.schema import settings_of, whole

        self.at, self.curve_draws, self.settings = at, curve_draws, settings
        chosen = {"profile": settings["profile"], "entropy": settings["entropy"], "draws": draws}
        with console.progress("checking", max(1, len(self.at.theorem.claims)), unit="claims", even=False) as bar:
            self.report = self.at.check(progress=lambda claim: bar.advance(1, claim), **chosen)
        made = {**settings_of(**settings), "data": self.report.heading}
        self.records = [whole(row, made) for row in self.report.to_dicts()]

    @property
    def shown(self) -> Sequence[Record]:
        """Where the theorem says nothing there is nothing to violate."""
        from ntkverify.commands.checking.given import BEYOND

        return [
            {**record, "verdict": BEYOND.get(record["verdict"], record["verdict"])}
            if record["claim"] in self.report.beyond
            else record
            for record in self.records
        ]

    def graph(self) -> str:
        from ntkverify.report.graph.drawing import standalone
        from ntkverify.report.graph.model import proof_graph

        graph = proof_graph(self.at.whole, self.shown)
        return standalone(graph, "proof", title=f"the proof of: {self.at.whole.title}, at {self.at.data.source}")

    def parts(self, tables: Sequence[Table], changed: Sequence[Change]) -> list[Part]:
        from ntkverify.report.page.content import at_data, command, part_of

        again = command(*sys.argv[1:]) if Path(sys.argv[0]).name.startswith(("ntkverify", "__main__")) else ""
        words = dict.fromkeys(
            ("check", "graph", "report"), again or command("report", self.at.whole.id, "--data", "FILE")
        )
        return [
            part_of(
                self.at.whole, self.shown, curves=self.curves(self.at.theorem), tables=tables, changed=changed,
                words=words, at=at_data(self.at, self.report),
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
        if session.crash:  # what was judged is kept; a page that passes over the rest would look whole
            raise RuntimeError(session.crash.rstrip().splitlines()[-1])
    made = settings_of(**settings)
    return [whole(record, made) for theorem in theorems.values() for record in known[theorem.id]]
