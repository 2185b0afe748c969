"""pytest collects theorem modules: one item per claim and per control, all of a theorem sharing its runs.

Installed as an entry point, so it is loaded in every pytest session on the machine. It therefore
imports nothing but the standard library and pytest until a file has been recognised, by its text
alone, as a theorem module: a top-level ``theorem = Theorem(...)`` in a file that names ntkverify.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ntkverify.theorem.files import holds_tests, ids_of, is_theorem_module, names_the_library, why_not_collected

if TYPE_CHECKING:
    from ntkverify.judging.check import Check
    from ntkverify.theorem.parts import Claim

_RECORD = "ntkverify"  # key of a verdict among an item's user properties
_OPEN = "ntkverify-open"  # the same for a claim that could not be judged, and why
_CHECK = Path(__file__).parent / "judging" / "check.py"
_KINDS = ("lemma", "conclusion", "control")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the theorem check."""
    group = parser.getgroup("ntkverify", "theorems about wide two-layer networks")
    group.addoption(
        "--ntk-profile",
        dest="ntk_profile",
        choices=("quick", "ci", "thorough"),
        default="quick",
        help="how many instances to draw, and how much a claim may draw until it is decided (default: quick)",
    )
    group.addoption(
        "--ntk-backend",
        dest="ntk_backend",
        default=None,
        metavar="NAME",
        help="what the networks run on: array, cpu, gpu, or auto, the fastest that is there "
        "(default: $NTKVERIFY_BACKEND, or auto)",
    )
    group.addoption(
        "--ntk-entropy",
        dest="ntk_entropy",
        type=int,
        default=0,
        metavar="INTEGER",
        help="changes every draw; the same integer repeats a session (default: 0)",
    )
    group.addoption(
        "--verdicts", dest="ntk_verdicts", metavar="FILE", help="write every verdict to FILE, one JSON object a line"
    )
    group.addoption(
        "--observe",
        dest="ntk_observe",
        metavar="FILE",
        help="write every claim put to one run to FILE, one JSON object a line as Hypothesis' observability has them",
    )
    group.addoption(
        "--proofs",
        dest="ntk_proofs",
        metavar="FOLDER",
        help="write what proves each claim that is proved for all numbers to FOLDER, for another solver to check",
    )
    group.addoption(
        "--ntk-allow-inconclusive",
        dest="ntk_allow_inconclusive",
        action="store_true",
        help="let a claim pass that could be neither confirmed nor refuted",
    )
    group.addoption(
        "--ntk-claim",
        dest="ntk_claims",
        action="append",
        default=[],
        metavar="TEXT",
        help="only claims whose sentence contains TEXT; repeatable (-m control, lemma or conclusion selects a kind)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the per-session state and refuse a verdict file that can't be written."""
    for option, name in (("--verdicts", "ntk_verdicts"), ("--observe", "ntk_observe")):
        path = config.getoption(name)
        if path and not hasattr(config, "workerinput"):
            # resolved now: a test may change the working directory; collecting alone empties nothing
            setattr(config.option, name, str(Path(path).resolve()))
            try:
                with open(path, "a" if config.option.collectonly else "w", encoding="utf-8"):
                    pass
            except OSError as error:
                raise pytest.UsageError(f"{option} {path}: the file can't be written ({error.strerror}).") from None
    if config.getoption("ntk_proofs"):
        config.option.ntk_proofs = str(Path(config.getoption("ntk_proofs")).resolve())
    if config.getoption("ntk_entropy") < 0:
        raise pytest.UsageError("--ntk-entropy must not be negative.")
    for kind in _KINDS:
        config.addinivalue_line("markers", f"{kind}: every {kind} of a theorem")
    config.pluginmanager.register(_Session(config), "ntkverify-session")


class _Session:
    """Verdicts so far, and where workers share the records of their runs."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        worker = getattr(config, "workerinput", None)
        name = worker["ntkverify_store"] if worker else f"ntkverify-{uuid.uuid4().hex}"
        self.folder = Path(tempfile.gettempdir()) / name
        self.is_worker = worker is not None
        self.distributed = self.is_worker
        self.records: list[tuple[int, dict[str, Any]]] = []
        self.order: dict[str, int] = {}
        self.modules: list[Path] = []
        self.unwritten = ""

    @property
    def settings(self) -> dict[str, Any]:
        """With what the verdicts are reached, for who reads the file later."""
        from ntkverify.report.files.schema import settings_of

        get = self.config.getoption
        return settings_of(profile=get("ntk_profile"), entropy=get("ntk_entropy"), backend=get("ntk_backend"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """pytest-xdist: tell a worker where the records are shared."""
        node.workerinput["ntkverify_store"] = self.folder.name
        self.distributed = True

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what was not asked for; remember the order of the claims, in which verdicts are shown."""
        wanted = self.config.getoption("ntk_claims")
        left_out = [i for i in items if isinstance(i, ClaimItem) and wanted and not i.is_one_of(wanted)]
        if left_out:
            items[:] = [item for item in items if item not in left_out]
            self.config.hook.pytest_deselected(items=left_out)
        ids = ids_of(self.modules)
        for item in items:
            if isinstance(item, ClaimItem):
                item.check.call(ids[item.path])
        self.order = {item.nodeid: index for index, item in enumerate(items)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep each verdict, and write it at once so that a later crash loses nothing."""
        for key, value in report.user_properties:
            if key in (_RECORD, _OPEN) and report.when == "call" and not self.is_worker:
                index, record = json.loads(str(value))
                self.records.append((index, record))
                path = self.config.getoption("ntk_verdicts")
                if path and key == _RECORD and not self.unwritten:
                    from ntkverify.report.files.schema import line

                    try:
                        with open(path, "a", encoding="utf-8") as stream:
                            stream.write(line(record, self.settings))
                    except OSError as error:
                        self.unwritten = (
                            f"--verdicts {path}: {error.strerror}, verdicts are missing there; make room, or choose "
                            "another file."
                        )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A file of verdicts that lacks some is a failure, whatever they are."""
        if self.unwritten:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The table of verdicts."""
        if self.unwritten:
            terminalreporter.write_line(self.unwritten, red=True)
        if not self.records:
            return
        from ntkverify.report.table import verdict_table

        terminalreporter.section("verdicts")
        records = [record for _, record in sorted(self.records, key=lambda entry: entry[0])]
        for line in verdict_table(records, width=max(100, terminalreporter._tw.fullwidth)):
            terminalreporter.write_line(line)
        counts = {word: sum(r["verdict"] == word for r in records) for word in _WORDS}
        terminalreporter.write_line("")
        terminalreporter.write_line(", ".join(f"{count} {word}" for word, count in counts.items() if count))

    def pytest_unconfigure(self) -> None:
        """Remove the shared records; they are only there with pytest-xdist."""
        if not self.is_worker and self.distributed:
            shutil.rmtree(self.folder, ignore_errors=True)


_WORDS = ("holds", "observed", "violated", "inconclusive", "refuted", "not refuted", "not judged")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect theorem modules; test files of other suites are never touched."""
    if file_path.suffix != ".py" or _is_of_tests(file_path, parent) or not is_theorem_module(file_path):
        return None
    if parent.session.isinitpath(file_path) and not holds_tests(file_path):
        return None  # pytest asks for a module of what was named, and would import it a second time
    return _module(file_path, parent)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file that was named is a theorem module even where only its import can tell, and says so if it is none."""
    if _is_of_tests(module_path, parent) or holds_tests(module_path) or module_path.name in _NEVER:
        return None
    # what is named for its docstrings, or has nothing to do with theorems, is somebody else's
    theirs = not names_the_library(module_path) or getattr(parent.config.option, "doctestmodules", False)
    return None if theirs and not is_theorem_module(module_path) else _module(module_path, parent)


_NEVER = ("__init__.py", "conftest.py", "setup.py")


def _is_of_tests(path: Path, parent: pytest.Collector) -> bool:
    return any(path.match(pattern) for pattern in parent.config.getini("python_files"))


def _module(path: Path, parent: pytest.Collector) -> pytest.Collector:
    module: pytest.Collector = TheoremModule.from_parent(parent, path=path)
    return module


class TheoremModule(pytest.File):
    """A theorem module: imported when its claims are collected."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per claim and control."""
        from ntkverify.errors import NtkVerifyError
        from ntkverify.judging.check import Check
        from ntkverify.problems.records import RecordStore
        from ntkverify.report.files.observations import writer
        from ntkverify.theorem.loading import load_theorem

        session = self.config.pluginmanager.get_plugin("ntkverify-session")
        assert isinstance(session, _Session)
        if reason := why_not_collected(self.path):
            raise self.CollectError(reason)
        session.modules.append(self.path)
        observed = self.config.getoption("ntk_observe")
        try:
            theorem = load_theorem(self.path)
            check = Check(
                theorem,
                profile=self.config.getoption("ntk_profile"),
                backend=self.config.getoption("ntk_backend"),
                entropy=self.config.getoption("ntk_entropy"),
                store=RecordStore(session.folder if session.distributed else None),
                observe=writer(observed) if observed else None,
            )
            check.refuse_unknown_symbols()
        except NtkVerifyError as error:
            raise self.CollectError(str(error)) from error
        for claim in theorem.claims.values():
            yield ClaimItem.from_parent(self, name=claim.name, claim=claim, check=check)


class ClaimItem(pytest.Item):
    """One claim or control."""

    def __init__(self, *, claim: Claim, check: Check, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.claim = claim
        self.check = check
        self.add_marker(claim.kind)

    def is_one_of(self, parts: Sequence[str]) -> bool:
        """Whether the claim's sentence contains one of these."""
        return any(part.lower() in self.claim.name.lower() for part in parts)

    def runtest(self) -> None:
        """Judge the claim, record the verdict, and fail unless all is well."""
        session = self.config.pluginmanager.get_plugin("ntkverify-session")
        assert isinstance(session, _Session)
        try:
            verdict = self.check.verdict(self.claim)
        except Exception as error:
            self._note_as_open(session, error)
            raise
        self._note(session, _RECORD, verdict.record())
        if folder := self.config.getoption("ntk_proofs"):
            self._write_proof(Path(folder))
        allowed = verdict.status == "inconclusive" and self.config.getoption("ntk_allow_inconclusive")
        if not (verdict.passed or allowed):
            raise ClaimFailed(verdict)

    def _write_proof(self, folder: Path) -> None:
        """SMT-LIB text, steps or boxes, in a folder a theorem."""
        proof = self.check.proof(self.claim)
        if proof is not None:
            from ntkverify.proving.files import write_proof

            write_proof(proof, folder / self.check.theorem.id, self.claim.name)

    def _note(self, session: _Session, key: str, record: dict[str, Any]) -> None:
        self.user_properties.append((key, json.dumps([session.order[self.nodeid], record])))

    def _note_as_open(self, session: _Session, error: Exception) -> None:
        """A row for a claim that could not be judged: bad input, or an error of ours."""
        from ntkverify.errors import NtkVerifyError
        from ntkverify.judging.verdict import unjudged

        record = unjudged(self.check.theorem, self.claim, str(error)).record()
        self._note(session, _OPEN, {**record, "bad_input": isinstance(error, NtkVerifyError)})

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A verdict or a user's mistake in one sentence; an error of ours with its traceback, without pytest's."""
        from ntkverify.errors import NtkVerifyError

        if isinstance(excinfo.value, ClaimFailed | NtkVerifyError):
            return str(excinfo.value)
        return excinfo.getrepr(style="short", tbfilter=lambda info: info.traceback.cut(path=_CHECK))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the claim stands."""
        return self.path, None, f"{self.claim.kind}: {self.claim.name}"


class ClaimFailed(AssertionError):
    """A claim that does not hold, or a control that is not refuted."""

    def __init__(self, verdict: Any) -> None:
        slack = "" if verdict.slack is None else f", slack {verdict.slack:.4g}"
        remedy = f"\n{verdict.remedy}" if verdict.remedy else ""
        witness = "" if verdict.witness is None else f"\ninstance: {verdict.witness}"
        super().__init__(
            f"{verdict.kind} {verdict.claim!r} is {verdict.shown}{slack}: {verdict.evidence}{remedy}{witness}"
        )
