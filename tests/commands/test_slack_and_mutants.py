"""``ntkverify slack`` and ``ntkverify mutants``."""

import json

import pytest

from ntkverify import NtkVerifyError

EIGHT = "eight over m is at most one"


def test_a_witness_is_profiled_again(call, here):
    (verdict,) = json.loads(call("check", "--kind", "conclusion", "--json")[1])
    (here / "witness.json").write_text(verdict["witness"])
    options = ["--instance", "witness.json", "--draws", "0"]
    assert EIGHT in call("slack", "small", *options)[1]
    (found,) = json.loads(call("slack", "small", *options, "--json")[1])
    assert found["instance"] == json.loads(verdict["witness"])
    slack = {row["claim"]: row["slack"] for row in found["slack"]}
    assert slack[EIGHT] == verdict["slack"]


def test_a_family_without_a_conclusion_says_so(call):
    """It used to end in StopIteration."""
    status, out, _ = call("slack", "small", "--family", "bare", "--draws", "4", "--max-width", "8")
    assert (status, "a fair coin" in out) == (0, True)
    assert "No claim here measures a network, so that none needs a width." in out


def test_a_family_without_claims_names_those_that_have_some(call, here):
    path = here / "theorems" / "small.py"
    empty = '@theorem.instances("idle", run=AlgebraRun, quick=1)\ndef idle():\n    return Instance()\n\n\n'
    path.write_text(path.read_text().replace('DATA = {"holds"', empty + 'DATA = {"holds"'))
    status, _, err = call("slack", "small", "--family", "idle")
    assert status == 2
    assert "choose --family 'vectors' or 'bare'" in err


def test_the_second_table_is_lost_and_the_first_is_shown(call, monkeypatch):
    def fails(*arguments, **options):
        raise NtkVerifyError("no widths today")

    monkeypatch.setattr("ntkverify.judging.slack.width_thresholds", fails)
    status, out, err = call("slack", "small")
    assert (status, EIGHT in out, "no widths today" in err) == (2, True, True)
    status, out, err = call("slack", "small", "--json")
    assert (status, err.count("\n")) == (2, 1)
    (found,) = json.loads(out)
    assert EIGHT in [row["claim"] for row in found["slack"]]


def test_one_theorem_that_fails_leaves_the_others(call, here, small_source):
    (here / "theorems" / "second.py").write_text(small_source.replace("return 8 / run.m", "return 8 / run.x[77]"))
    status, out, err = call("slack", "theorems", "--draws", "0", "--json")
    assert (status, "second.py" in err) == (2, True)
    assert [found["theorem"] for found in json.loads(out)] == ["theorems/small"]


def test_mutants_reports_every_mutant(call):
    status, out, _ = call("mutants", "small", "--only", EIGHT)
    assert (status, "1 of 1 mutants refuted" in out) == (0, True)
    (found,) = json.loads(call("mutants", "small", "--only", EIGHT, "--json")[1])
    assert (found["claim"], found["factor"], found["status"]) == (EIGHT, "1/2", "refuted")


def test_what_was_found_of_mutants_is_shown_when_interrupted(call, monkeypatch):
    import ntkverify.judging.mutation as mutation

    whole, count = mutation.Bench.fate, [0]

    def once(*arguments, **options):
        count[0] += 1
        if count[0] > 1:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(mutation.Bench, "fate", once)
    status, out, err = call("mutants", "small", "--only", "e")
    assert status == 130
    assert "1 of 1 mutants refuted" in out
    assert "interrupted" in err


def test_verdicts_that_were_reached_are_shown_when_interrupted(call, monkeypatch):
    import ntkverify.judging.check as check

    whole, count = check.judge, [0]

    def twice(*arguments):
        count[0] += 1
        if count[0] > 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(check, "judge", twice)
    status, out, err = call("check")
    assert status == 130
    assert "squares sum to n at most" in out
    assert "2 holds" in out
    assert "the verdicts that were reached stand above" in err


def test_mutants_past_their_slack(call):
    status, out, _ = call("mutants", "small", "--only", EIGHT, "--past-slack")
    assert status == 0
    assert "1 of 1 bounds refuted past their slack" in out
    status, out, _ = call("mutants", "small", "--only", EIGHT, "--past-slack", "--json")
    (found,) = json.loads(out)
    assert found["claim"] == EIGHT
    assert found["refuted_at"] > 1


def test_mutants_that_are_on_record_are_not_checked_again(call, here, monkeypatch):
    import ntkverify.judging.mutation as mutation

    typed = ["mutants", "small", "--only", "e", "--results", "found.jsonl", "--json"]
    first = json.loads(call(*typed)[1])
    lines = (here / "found.jsonl").read_text().splitlines()
    assert [json.loads(line)["change"] for line in lines] == [record["change"] for record in first]
    # what is missing is made, in its place
    (here / "found.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    whole, made = mutation.Bench.fate, []

    def noted(bench, mutant):
        made.append(mutant.plant)
        return whole(bench, mutant)

    monkeypatch.setattr(mutation.Bench, "fate", noted)
    again = json.loads(call(*typed)[1])
    assert made == [first[-1]["change"]]
    assert [(r["change"], r["status"]) for r in again] == [(r["change"], r["status"]) for r in first]
    # another entropy is another experiment
    call(*typed, "--entropy", "1")
    assert len(made) == 1 + len(first)


@pytest.mark.parametrize("changed", ["a version", "the library"])
def test_a_record_does_not_outlive_what_it_was_made_with(call, here, monkeypatch, changed):
    """Most claims are the library's, which may change while a module stays as it is."""
    import ntkverify.commands.checking.fates as fates
    import ntkverify.judging.mutation as mutation

    typed = ["mutants", "small", "--only", EIGHT, "--results", "found.jsonl"]
    call(*typed)
    whole, made = mutation.Bench.fate, []

    def noted(bench, mutant):
        made.append(mutant.plant)
        return whole(bench, mutant)

    monkeypatch.setattr(mutation.Bench, "fate", noted)
    call(*typed)
    assert not made
    if changed == "a version":
        monkeypatch.setattr(fates, "versions", lambda: {"numpy": "0"})
    else:
        (here / "library" / "lemmas").mkdir(parents=True)
        (here / "library" / "lemmas" / "new.py").write_text("one = 2")
        monkeypatch.setattr(fates, "LIBRARY", here / "library")
        fates._library.cache_clear()
    try:
        call(*typed)
        assert made
        # of two records of one mutant the later counts
        call(*typed)
        assert len(made) == len(set(made))
    finally:
        fates._library.cache_clear()


def test_survivors_on_record_go_to_the_search_at_once(call, here, monkeypatch):
    """They used to be checked again, and what was refuted, too."""
    import ntkverify.judging.mutation as mutation

    path = here / "theorems" / "small.py"
    path.write_text(path.read_text().replace("return 8 / run.m", "return 4 / run.m"))
    typed = ["mutants", "small", "--only", "at most", "--results", "found.jsonl", "--seconds", "1", "--json"]
    first = {r["change"]: r["status"] for r in json.loads(call(*typed)[1])}
    assert {"refuted", "survived"} <= set(first.values())
    asked = []

    def thorough_only(bench, mutant, *, but=()):
        asked.append((bench.profile, mutant.plant, list(but)))
        return mutation.Fate(mutant, "survived", None, "asked")

    monkeypatch.setattr(mutation.Bench, "fate", thorough_only)
    again = json.loads(call(*typed, "--survivors")[1])
    assert [r["change"] for r in again] == list(first)
    assert all(r["status"] == first[r["change"]] for r in again)
    survivors = [r for r in again if first[r["change"]] == "survived"]
    assert all("of the bound reached in a search of" in r["evidence"] for r in survivors)
    # a bound on all instances is the search's alone
    assert not asked
    # and both stay on record
    lines = (here / "found.jsonl").read_text().splitlines()
    assert len(lines) == len(first) + len(survivors)
    assert json.loads(call(*typed, "--survivors")[1]) == again
    assert {r["change"]: r["status"] for r in json.loads(call(*typed)[1])} == first
    assert len((here / "found.jsonl").read_text().splitlines()) == len(lines)
    # more time is another search, of the same survivors
    call(*typed[:-3], "--seconds", "2", "--survivors")
    assert len((here / "found.jsonl").read_text().splitlines()) == len(lines) + len(survivors)


def test_a_file_that_holds_something_else_is_refused(call, here):
    (here / "found.jsonl").write_text("{}\n")
    status, _, err = call("mutants", "small", "--results", "found.jsonl")
    assert (status, "found.jsonl, line 1 is no record of a mutant" in err) == (2, True)
