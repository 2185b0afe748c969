"""What a resumed cell goes on with: as many draws, suspects in the same order, and stores of earlier versions."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, with_probability
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.search.campaign import campaign
from ntkverify.search.campaign.campaign import search_cell
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import FORMAT, Store
from ntkverify.search.evidence.settle import Finding
from ntkverify.search.score import Score
from ntkverify.theorem.parts import Family

COIN = "a fair coin"


class Killed(BaseException):
    pass


@pytest.fixture
def coin(theorem, module):
    """A cell of a claim that nine draws of ten keep, on a thousand data sets."""

    def build(draw):
        return Instance(data={"x": [1.0]}, parameters={"size": draw(st.integers(1, 1000)), "scale": 1.0})

    theorem.families["vectors"] = Family("vectors", build, AlgebraRun, {})
    theorem.claims[COIN] = replace(
        theorem.claims[COIN],
        measure=lambda run: float(np.random.default_rng([run.instance.seed, int(run.size)]).random() < 0.1),
        quantifier=with_probability(sympy.Rational(9, 10)),
    )

    def cell(evaluations):
        return cells_of(theorem, path=module, claims=[COIN], engines=["random"], evaluations=evaluations)[0]

    return cell


@pytest.fixture
def settled(monkeypatch):
    """Fresh draws that come to nothing, twenty at a time: with how many each suspect was drawn at most."""
    most = []

    def settle(case, suspect, *, draws, place):
        most.append(draws.most)
        confirmation = {"entropy": draws.entropy, "draws": 20, "failures": 2, "delta": 0.1, "log_e": 0.0}
        evidence = {"confirmations": [*draws.before, confirmation], "attempt": draws.attempt}
        return Finding("unconfirmed", suspect.with_evidence(kind="probability", **evidence))

    monkeypatch.setattr(campaign, "settle", settle)
    return most


def killed_after(count):
    left = iter(range(count))

    def progress(cell, score, seconds):
        if next(left, None) is None:
            raise Killed

    return progress


def test_fresh_draws_are_timed_by_all_that_is_on_record(theorem, module, coin, settled, tmp_path):
    cell = coin(400)
    path = tmp_path / "s.sqlite"
    with Store(path) as store, pytest.raises(Killed):
        search_cell(theorem, cell, store, path=module, progress=killed_after(390), until=time.time() + 1000)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE evaluations SET seconds = 0.04")  # ten milliseconds a draw
    settled.clear()
    with Store(path) as store:
        search_cell(theorem, cell, store, path=module, until=time.time() + 1000)
        scores = store.evaluations(store.open_cell(cell.settings())).values()
    # some vectors stand for data that were drawn before, and took no draws
    assert 0.5 * 400 < sum(score.draws > 0 for score in scores) < 400
    assert {score.draws for score in scores} == {0, 4}
    timed = [most for most in settled if most is not None]
    assert timed
    for most in timed:
        assert 0.9e5 < most < 2.2e5


@pytest.mark.parametrize("count", [2, 5, 7, 8])
def test_a_resumed_cell_looks_into_as_many_suspects(theorem, module, coin, settled, tmp_path, monkeypatch, count):
    whole = campaign.settle

    def dies(*args, **options):
        if len(settled) == count:
            raise Killed
        return whole(*args, **options)

    cell = coin(60)
    with Store(None) as store:
        search_cell(theorem, cell, store, path=module)
        findings = store.findings(store.open_cell(cell.settings()))
    assert len(settled) == 6 + campaign.SUSPECTS  # 120 fresh draws, twenty at a time, then the worst ones again
    settled.clear()
    monkeypatch.setattr(campaign, "settle", dies)
    with Store(tmp_path / "s.sqlite") as store, pytest.raises(Killed):
        search_cell(theorem, cell, store, path=module)
    monkeypatch.setattr(campaign, "settle", whole)
    with Store(tmp_path / "s.sqlite") as store:
        assert len(store.findings(store.open_cell(cell.settings()))) == min(count, len(findings))
        search_cell(theorem, cell, store, path=module)
        assert store.findings(store.open_cell(cell.settings())) == findings


@pytest.mark.parametrize(("replayed", "least"), [(0, 35), (200, 180)])
def test_a_window_is_for_what_is_new(theorem, module, monkeypatch, replayed, least):
    """Four seconds, of which going through the record takes nothing; where that takes twenty, twenty."""
    (cell,) = cells_of(theorem, path=module, claims=["squares sum to n at most"], engines=["random"], evaluations=900)
    clock = [0.0]
    monkeypatch.setattr(campaign, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))

    def progress(cell, score, seconds):
        clock[0] += 0.1

    with Store(None) as store:
        name = store.open_cell(cell.settings())
        if replayed:
            with pytest.raises(Killed):
                search_cell(theorem, cell, store, path=module, progress=killed_after(replayed))
        before = len(store.evaluations(name))
        search_cell(theorem, cell, store, path=module, progress=progress, window=4.0)
        assert not store.is_finished(name)
        assert least <= len(store.evaluations(name)) - before <= least + 30


SETTINGS = {"theorem": "t", "claim": "c", "regime": "r", "engine": "e", "relax": []}


def test_failures_are_on_record_where_they_are_as_many_as_allowed(tmp_path):
    """One draw of four may fail of a claim that holds with probability 3/4: no excess, and more than none."""
    scores = {(1,): Score(-0.5, failures=1, draws=4), (2,): Score(0.5, failed=True, failures=2, draws=4)}
    with Store(tmp_path / "s.sqlite") as store:
        name = store.open_cell(SETTINGS)
        for vector, score in scores.items():
            store.add(name, vector, score, 0.0)
    with Store(tmp_path / "s.sqlite") as store:
        found = store.evaluations(name)
        assert found == scores
        assert [score.draws for score in found.values()] == [4, 4]
        assert [row["failed"] for row in store.rows()] == [False, True]


FIRST = """
CREATE TABLE cells (id TEXT PRIMARY KEY, settings TEXT NOT NULL, finished INTEGER NOT NULL DEFAULT 0);
CREATE TABLE evaluations (
    cell TEXT NOT NULL, vector BLOB NOT NULL, margin REAL NOT NULL, failed INTEGER NOT NULL, doubtful INTEGER NOT NULL,
    reason TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (cell, vector)) WITHOUT ROWID;
CREATE TABLE findings (
    cell TEXT NOT NULL, vector BLOB NOT NULL, status TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (cell, vector)) WITHOUT ROWID;
PRAGMA application_id = 0x4E544B56;
PRAGMA user_version = 1;
INSERT INTO evaluations VALUES ('c', x'01000000', 0.5, 3, 0, '', 0.1);
INSERT INTO evaluations VALUES ('c', x'02000000', -0.5, 0, 0, '', 0.1);
"""


def test_a_store_of_the_first_format_is_taken_over(tmp_path):
    path = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(FIRST)
    for _ in range(2):
        with Store(path) as store:
            assert store.evaluations("c") == {(1,): Score(0.5, failed=True, failures=3), (2,): Score(-0.5)}
            store.add("c", (3,), Score(0.1, failures=1, draws=4), 0.2)
            assert len(store.evaluations("c")) == 3
            assert store.largest_excess("c") == (0.5, None)
        with closing(sqlite3.connect(path)) as db, db:
            assert db.execute("PRAGMA user_version").fetchone() == (FORMAT,)
            db.execute("DELETE FROM evaluations WHERE margin = 0.1")
