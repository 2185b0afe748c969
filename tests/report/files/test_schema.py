"""Files of verdicts: what is written is read again, what is older too; what is no verdict is refused with its line."""

import json
import re
from pathlib import Path

import pytest

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.verdict import Verdict
from ntkverify.report.files.changes import changes
from ntkverify.report.files.schema import SCHEMA, VERSION, counts, document, line, read_verdicts

SETTINGS = {"profile": "quick", "entropy": 0, "backend": "auto", "ntkverify": "0"}
#: what the plugin wrote before there was a schema
OLD = {
    "theorem": "mine/first", "claim": "a", "kind": "lemma", "quantifier": "always", "slack": 1.5, "instances": 4,
    "vacuous": 1, "seconds": 0.1, "evidence": "within the bound on 3 instances", "witness": None, "source": "own",
    "level": "float64, 3 instances", "missed": "draws < 0.8", "unresolved": 0, "remedy": "", "verdict": "holds",
}  # fmt: skip


def record(**fields):
    return {**OLD, "unmet": {"wide": 1}, **fields}


@pytest.fixture
def written(tmp_path):
    def write(text, name="v.jsonl"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


class TestReading:
    def test_a_stream_is_read_as_it_was_written(self, written):
        rows = [record(), record(claim="b", slack=None)]
        found = read_verdicts(written("".join(line(row, SETTINGS) for row in rows)))
        assert [dict(r) for r in found.records] == [{"format": VERSION, **r, "settings": SETTINGS} for r in rows]
        assert found.settings == (SETTINGS,)
        assert found.theorems == ("mine/first",)

    def test_a_document_holds_what_the_stream_held(self, written):
        stream = read_verdicts(written(line(record(), SETTINGS) + line(record(claim="b"), SETTINGS)))
        assert read_verdicts(written(document(stream.records), "v.json")).records == stream.records

    def test_lines_from_before_the_schema_are_read(self, written):
        (found,) = read_verdicts(written(json.dumps(OLD) + "\n")).records
        assert (found["format"], found["unmet"], found["settings"]) == (0, {}, {})
        assert all(found[name] == value for name, value in OLD.items())

    def test_what_check_prints_as_json_is_read(self, written):
        assert len(read_verdicts(written(json.dumps([OLD, {**OLD, "claim": "b"}], indent=1))).records) == 2

    def test_of_a_claim_that_was_judged_twice_the_last_counts(self, written):
        found = read_verdicts(written(line(record(), SETTINGS) + line(record(verdict="violated"), SETTINGS)))
        assert [r["verdict"] for r in found.records] == ["violated"]

    def test_what_a_verdict_records_is_what_the_schema_says(self):
        verdict = Verdict("mine/first", "a", "lemma", "always", "holds", 1.5, 4, 1, 0.1, "e")
        assert set(verdict.record()) == set(SCHEMA) - {"format", "settings"}

    def test_a_document_names_words_in_one_order(self):
        rows = [record(verdict="violated"), record(verdict="holds"), record(verdict="holds")]
        assert list(counts(rows).items()) == [("holds", 2), ("violated", 1)]


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "holds no verdict"),
            ("{not json\n{}", r"v\.jsonl:1 is no JSON"),
            (json.dumps(OLD) + "\n" + json.dumps(OLD)[:40], r"v\.jsonl:2 is no JSON; the line may have been cut"),
            (json.dumps([3]), "verdict 1 is int and no verdict"),
            (json.dumps({**OLD, "format": VERSION + 1}), f"version {VERSION + 1} of the schema"),
            (json.dumps({k: v for k, v in OLD.items() if k != "slack"}), "has no 'slack'"),
            (json.dumps({**OLD, "slack": "much"}), "slack is 'much', not int or float or null"),
            (json.dumps({**OLD, "instances": True}), "instances is True"),
            (json.dumps({**OLD, "verdict": "fine"}), "verdict is 'fine'; it may be holds"),
            (json.dumps({"format": "other", "verdicts": []}), "is 'other' and no file of verdicts"),
        ],
    )
    def test_in_one_sentence_with_the_place(self, written, text, said):
        with pytest.raises(NtkVerifyError, match=said):
            read_verdicts(written(text))

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(NtkVerifyError, match="can't be read"):
            read_verdicts(tmp_path / "none.jsonl")


class TestChanges:
    def test_each_kind_of_difference(self):
        old = [record(claim=c) for c in "abcde"]
        new = [
            record(claim="a", verdict="violated"),
            record(claim="b", slack=1.5 * 1.24),  # two entropies differ by as much
            record(claim="c", slack=1.5 * 1.26),
            record(claim="d", level="proved", slack=None),
            record(claim="f"),
        ]
        found = changes(old, new)
        assert [(c.claim, c.what, c.before, c.after) for c in found] == [
            ("a", "verdict", "holds", "violated"),
            ("c", "slack", "1.5", "1.89"),
            ("d", "slack", "1.5", "-"),
            ("d", "rests on", "float64", "proved"),
            ("f", "new", "", "holds"),
            ("e", "gone", "holds", ""),
        ]
        assert [c.claim for c in found if c.is_worse] == ["a"]

    def test_slacks_of_identities_are_rounding(self):
        assert not changes([record(quantifier="identity", slack=1.0)], [record(quantifier="identity", slack=9.0)])

    def test_slacks_of_controls_say_which_draw_refuted_them_first(self):
        assert not changes([record(kind="control", slack=0.5)], [record(kind="control", slack=1e-3)])


def test_the_schema_is_documented():
    page = Path(__file__).parents[3] / "docs" / "verdicts.md"
    rows = re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(SCHEMA)
