"""Theorem modules checked by a pytest session in this process, so that verdicts are those of ``pytest theorems/``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ntkverify.commands.group import BAD_INPUT, CRASHED, FOUND, INTERRUPTED, WELL
from ntkverify.errors import NtkVerifyError

Seen = Callable[[dict[str, Any]], object]


@dataclass
class Session:
    """What a session came to.

    Parameters
    ----------
    records : list of dict
        `ntkverify.judging.verdict.Verdict.record` of every claim, in the order of the modules; a claim that could not
        be judged is there too, with ``bad_input`` saying whether that can be mended.
    refused : list of str
        Modules that could not be loaded, in one sentence each.
    crash : str
        An error of ours, with where it happened; empty if there was none.
    interrupted : bool
        Whether it was interrupted.
    selected : int
        How many claims were to be judged.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    crash: str = ""
    interrupted: bool = False
    selected: int = 0

    def status(self, *, allow_inconclusive: bool = False) -> int:
        """The exit status: the worst of what happened."""
        open_ones = [r for r in self.records if r["verdict"] == "not judged"]
        if self.interrupted:
            return INTERRUPTED
        if self.crash or any(not r["bad_input"] for r in open_ones):
            return CRASHED
        if self.refused or open_ones:
            return BAD_INPUT
        return FOUND if failing(self.records, allow_inconclusive=allow_inconclusive) else WELL


def failing(records: Sequence[dict[str, Any]], *, allow_inconclusive: bool = False) -> list[dict[str, Any]]:
    """Those of the verdicts that fail."""
    fine = {"holds", "observed", "refuted", *(["inconclusive"] if allow_inconclusive else [])}
    return [r for r in records if r["verdict"] not in fine]


class _Watcher:
    """A plugin that listens in place of pytest's own reporter."""

    def __init__(self, session: Session, seen: Seen) -> None:
        self.session, self.seen = session, seen
        self.found: list[tuple[int, dict[str, Any]]] = []
        self.unwritten = ""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Silence the terminal."""
        reporter = config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            config.pluginmanager.unregister(reporter)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that can't be loaded."""
        if report.failed:
            said = report.longrepr
            self.session.refused.append(" ".join(str(getattr(said, "longrepr", said)).split()))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """How much there is to do."""
        self.session.selected = len(session.items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A verdict, or why there is none."""
        if report.when != "call":
            return
        for key, value in report.user_properties:
            if key.startswith("ntkverify"):
                index, record = json.loads(str(value))
                if record["verdict"] == "not judged" and not record["bad_input"]:
                    self.session.crash = self.session.crash or str(report.longrepr)
                self.found.append((index, record))
                self.seen(record)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Whether the file of verdicts is whole."""
        self.unwritten = session.config.pluginmanager.get_plugin("ntkverify-session").unwritten

    def pytest_internalerror(self, excrepr: Any) -> bool:
        """An error of pytest's, or of ours outside a claim."""
        self.session.crash = self.session.crash or str(excrepr)
        return True

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C."""
        self.session.interrupted = True


def run_session(paths: Sequence[Path], options: Sequence[str], *, seen: Seen) -> Session:
    """Check modules.

    Parameters
    ----------
    paths : sequence of Path
        The modules.
    options : sequence of str
        Options of the plugin, see `ntkverify.pytest_plugin`.
    seen : callable
        Called with each verdict's record as it is reached.

    Raises
    ------
    NtkVerifyError
        If pytest refuses an option.
    """
    session = Session()
    watcher = _Watcher(session, seen)
    arguments = [
        # what other suites configure in the folder that one happens to be in is theirs
        "-c", os.devnull, "--rootdir", os.getcwd(), "--noconftest", "-p", "no:cacheprovider", "-p", "no:faulthandler",
        "-s", "--import-mode=importlib", "--continue-on-collection-errors",
        *options, *map(str, paths),
    ]  # fmt: skip
    with contextlib.redirect_stdout(sys.stderr):  # what a module prints is no part of a table or of JSON
        status = pytest.main(arguments, plugins=[watcher])
    session.refused += [watcher.unwritten] if watcher.unwritten else []
    if status == pytest.ExitCode.USAGE_ERROR and not watcher.unwritten:
        raise NtkVerifyError("pytest refused these options; its reason stands above.")
    session.records = [record for _, record in sorted(watcher.found, key=lambda entry: entry[0])]
    return session
