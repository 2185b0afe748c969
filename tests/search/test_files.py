"""Files that people hand in: damaged, foreign, from the future. Each gives one sentence and exit status 2."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from ntkverify.cli import main
from ntkverify.search.campaign.export import COLUMNS
from ntkverify.search.campaign.store import FORMAT, Store

CLAIM = "squares sum to n at most"


@pytest.fixture(scope="module")
def written(tmp_path_factory, vectors_source):
    """A module, a store and a violation file, made once by the command."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "vectors.py").write_text(vectors_source)
    status = main(
        ["search", str(folder / "vectors.py"), "--claim", CLAIM, "--plant", f"{CLAIM} * 1/2", "--evaluations", "100",
         "--store", str(folder / "s.sqlite"), "--out", str(folder / "out")]
    )  # fmt: skip
    assert status == 1
    (folder / "violation.json").write_text(next((folder / "out").iterdir()).read_text())
    return folder


def _set(*path, to):
    def spoil(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = to

    return spoil


def _drop(*path):
    def spoil(content):
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return spoil


WRONG_CONTENT = {
    **{f"no {key}": _drop(key) for key in ("theorem", "path", "sha256", "claim", "evidence", "relax", "plants")},
    **{f"no {key}, at the instance": _drop("instance", key) for key in ("data", "width", "step", "seed", "format")},
    **{
        f"{key} is a number": _set(key, to=3)
        for key in ("theorem", "claim", "instance", "evidence", "relax", "versions")
    },
    "no instance": _drop("instance"),
    "no format": _drop("format"),
    "format is text": _set("format", to="1"),
    "newer format": _set("format", to=99),
    "newer instance format": _set("instance", "format", to=99),
    "another kind of file": _set("kind", to="recipe"),
    "unknown key": _set("extra", to=1),
    "unknown evidence": _set("evidence", "kind", to="hearsay"),
    "relaxes a number": _set("relax", to=[1]),
    "relaxes the unknown": _set("relax", to=["luck"]),
    "unreadable plant": _set("plants", to=["more or less"]),
    "plant of nothing": _set("plants", to=["nothing * 1/2"]),
    "another theorem": _set("theorem", to="other/theorem"),
    "unknown claim": _set("claim", to="a free lunch"),
    "unknown family": _set("instance", "regime", to="nowhere"),
    "missing module": _set("path", to="/nowhere/at/all.py"),
    "NaN": _set("instance", "data", "x", to=[float("nan")]),
    "infinity": _set("instance", "step", to=float("inf")),
    "negative width": _set("instance", "width", to=-1),
    "fractional width": _set("instance", "width", to=1.5),
    "ragged data": _set("instance", "data", "x", to=[[1.0], [1.0, 2.0]]),
    "text as data": _set("instance", "data", "x", to="abc"),
    "text as parameter": _set("instance", "parameters", "scale", to="1"),
    "steps are true": _set("instance", "steps", to=True),
    "no data": _set("instance", "data", to={}),
}
NOT_JSON = {
    "empty": b"",
    "binary": b"\x00\xff\xfe\x81",
    "truncated": None,
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deeply nested": b"[" * 100_000,
}


def _one_sentence(capsys, arguments):
    status = main([str(a) for a in arguments])
    output = capsys.readouterr()
    assert status == 2, output
    assert output.err.startswith("ntkverify: ")
    assert output.err.count("\n") == 1
    assert "Traceback" not in output.err
    return output.err


@pytest.mark.parametrize("command", ["replay", "certify"])
@pytest.mark.parametrize("name", WRONG_CONTENT)
def test_wrong_content_of_a_violation_is_one_sentence(written, tmp_path, capsys, name, command):
    content = json.loads((written / "violation.json").read_text())
    WRONG_CONTENT[name](content)
    (tmp_path / "bad.json").write_text(json.dumps(content))
    _one_sentence(capsys, [command, tmp_path / "bad.json"])


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_no_violation_at_all_is_one_sentence(written, tmp_path, capsys, name):
    whole = (written / "violation.json").read_bytes()
    (tmp_path / "bad.json").write_bytes(whole[: len(whole) // 2] if NOT_JSON[name] is None else NOT_JSON[name])
    assert "bad.json" in _one_sentence(capsys, ["certify", tmp_path / "bad.json"])


def _sql(*statements):
    def spoil(path):
        with closing(sqlite3.connect(path)) as db, db:
            for statement in statements:
                db.execute(statement)

    return spoil


def _bytes(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


WRONG_STORES = {
    "text": _bytes(lambda b: b"cell,vector\n" * 50),
    "truncated": _bytes(lambda b: b[: len(b) // 2]),
    "cut inside the header": _bytes(lambda b: b[:50]),
    "scrambled": _bytes(lambda b: b[:4096] + bytes(reversed(b[4096:]))),
    "newer": _sql(f"PRAGMA user_version = {FORMAT + 1}"),
    "foreign": _sql("PRAGMA application_id = 1"),
    "no evaluations": _sql("DROP TABLE evaluations"),
    "other columns": _sql("ALTER TABLE cells ADD COLUMN more TEXT"),
    "settings that are no JSON": _sql("UPDATE cells SET settings = 'x'"),
    "settings without a claim": _sql("UPDATE cells SET settings = '{}'"),
    "a number as vector": _sql("INSERT OR REPLACE INTO findings SELECT id, 7, 'certified', '{}' FROM cells"),
    "a finding that is no JSON": _sql("UPDATE findings SET content = 'x'"),
}


@pytest.mark.parametrize("name", WRONG_STORES)
def test_a_damaged_or_foreign_store_is_one_sentence(written, tmp_path, capsys, name):
    path = tmp_path / "bad.sqlite"
    shutil.copy(written / "s.sqlite", path)
    WRONG_STORES[name](path)
    assert "bad.sqlite" in _one_sentence(capsys, ["runs", path])


def test_a_missing_store_is_one_sentence_and_is_not_made(tmp_path, capsys):
    _one_sentence(capsys, ["runs", tmp_path / "none.sqlite"])
    assert not (tmp_path / "none.sqlite").exists()


def test_runs_lists_and_exports(written, tmp_path, capsys):
    out = tmp_path / "all.csv"
    assert main(["runs", str(written / "s.sqlite"), "--csv", str(out)]) == 0
    listed = capsys.readouterr().out
    assert "finished" in listed
    assert "certified" in listed
    with Store(written / "s.sqlite") as store:
        count, *_ = store.progress()
    assert len(out.read_text().splitlines()) == count + 1


def test_a_missing_pyarrow_is_one_sentence(written, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pyarrow" in _one_sentence(capsys, ["runs", written / "s.sqlite", "--parquet", tmp_path / "all.parquet"])


def test_parquet_holds_every_evaluation(written, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "all.parquet"
    assert main(["runs", str(written / "s.sqlite"), "--parquet", str(out)]) == 0
    capsys.readouterr()
    table = parquet.read_table(out)
    with Store(written / "s.sqlite") as store:
        rows = list(store.rows())
    assert table.num_rows == len(rows) > 0
    assert table.column_names == list(COLUMNS)
    assert table.to_pylist() == rows
    _one_sentence(capsys, ["runs", written / "s.sqlite", "--parquet", tmp_path / "no" / "such" / "folder.parquet"])


def test_replay_and_certify_end_in_the_right_words(written, capsys):
    file = str(written / "violation.json")
    assert main(["replay", file]) == 0
    assert "exceeds the bound" in capsys.readouterr().out
    assert main(["certify", file]) == 0
    assert "CERTIFIED: " in capsys.readouterr().out


def test_confirmations_of_a_probability_claim_multiply(written, tmp_path, capsys):
    claim = "a fair coin"
    command = [
        "search", str(written / "vectors.py"), "--claim", claim, "--plant", f"{claim} * 1/10", "--evaluations", "20",
        "--engine", "random", "--store", str(tmp_path / "s.sqlite"), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(command) == 1
    (file,) = (tmp_path / "out").iterdir()
    before = json.loads(file.read_text())["evidence"]
    assert main(["certify", str(file)]) == 1  # no certificate: statistics
    after = json.loads(file.read_text())["evidence"]
    first, second = after["confirmations"]
    assert first["entropy"] != second["entropy"]
    assert after["log_e"] == pytest.approx(before["log_e"] + second["log_e"])
    assert main(command) == 1  # the campaign resumes from its record, and what was added since stays
    assert json.loads(file.read_text())["evidence"] == after
    capsys.readouterr()
    _one_sentence(capsys, ["certify", file, "--entropy", second["entropy"]])
