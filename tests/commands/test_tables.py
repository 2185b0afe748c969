"""What commands print: tables of 80 columns, whole names on request, JSON, and nothing else in a pipe."""

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest

from ntkverify.report import console
from ntkverify.theorem.files import BROUGHT

SEARCH = ["search", "small", "--evaluations", "12", "--engine", "random"]
COMMANDS = {
    "list": ["list"],
    "list --claims": ["list", "--claims"],
    "show": ["show", "small"],
    "check": ["check"],
    "next": ["next"],
    "slack": ["slack", "small", "--draws", "4", "--max-width", "16"],
    "mutants": ["mutants", "small", "--only", "squares"],
    "search": SEARCH,
    "necessity": ["necessity", "small", "--claim", "eight", "--evaluations", "30"],
    "frontier": ["frontier", "small", "--draws", "10", "--high", "20"],
    "doctor": ["doctor"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_tables_fit_and_json_is_json(call, name):
    status, out, err = call(*COMMANDS[name])
    assert status == (1 if name == "necessity" else 0), err
    assert err == ""  # no bar, no spinner
    assert "\r" not in out
    files = ("written: ", "  ntkverify ")
    assert [line for line in out.splitlines() if len(line) > 80 and not line.startswith(files)] == []
    found = json.loads(call(*COMMANDS[name], "--json")[1])
    assert found
    assert isinstance(found, list)
    whole = call(*COMMANDS[name], "--full")[1]
    assert "…" not in whole


def test_what_is_too_long_gives_way_and_what_is_short_stays():
    rows = [
        ("a claim that is as long as claims are in general, and then some more of it", "violated (certified)", "-1")
    ]
    lines = console.fitted(rows, ("claim", "verdict", "margin"), columns=60)
    assert [len(line) <= 60 for line in lines] == [True, True]
    assert "violated (certified)" in lines[1]
    assert "…" in lines[1]
    (_, whole) = console.fitted(rows, ("claim", "verdict", "margin"), columns=None)
    assert rows[0][0] in whole


def test_numbers_that_are_not_finite_are_null_in_json(capsys):
    console.show_json({"a": float("inf"), "b": [float("nan"), 1.5], "c": None})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": None}


class TestProgress:
    @pytest.fixture
    def clock(self, monkeypatch):
        """A clock that is set by hand."""
        now = [0.0]
        monkeypatch.setattr(console.time, "perf_counter", lambda: now[0])
        return now

    def test_left_by_the_pace_of_what_is_alike(self, clock):
        line = console._Line(100, "evaluations", even=True)
        assert line.said == "0 of 100 evaluations, 0:00 so far"
        clock[0] = 30
        line.to(25, "best margin -0.1")
        assert line.said == "25 of 100 evaluations, 1:30 left, best margin -0.1"

    def test_minutes_are_counted_where_minutes_were_granted(self, clock):
        line = console._Line(600, "", even=True)
        clock[0] = 60
        line.to(60)
        assert line.said == "9:00 left"
        clock[0] = 90  # nothing was told since
        assert line.said.endswith("left")

    def test_nothing_is_foretold_where_nothing_is_known(self, clock):
        line = console._Line(9, "claims", even=False)
        clock[0] = 3700
        line.advance()
        assert line.said == "1 claims, 1:01:40 so far"

    def test_what_was_foretold_too_short_is_not_repeated(self, clock):
        line = console._Line(5, "", even=True)
        assert line.said == "0:05 left"
        clock[0] = 8
        assert line.said == "0:08 so far"

    def test_a_pipe_sees_nothing(self, capsys):
        with console.progress("searching", 10, unit="evaluations") as bar:
            bar.advance(3, "note")
        assert capsys.readouterr() == ("", "")

    def test_a_terminal_sees_a_line(self, monkeypatch, capsys):
        monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        with console.progress("searching", 10, unit="evaluations") as bar:
            bar.advance(3, "note")
        assert "searching: 3 of 10 evaluations" in capsys.readouterr().err


def test_check_foretells_what_it_took_the_last_time(call, here):
    from ntkverify.commands.checking.kept import kept, seconds_of

    path = here / "theorems" / "small.py"
    assert seconds_of(path, profile="quick") == {}
    call("check", "--kind", "control")
    call("check", "--kind", "conclusion")
    known = seconds_of(path, profile="quick")
    assert set(known) == {"eight over m is at most one", "squares sum to a third of n"}
    assert set(seconds_of(path, profile="quick", kind="control")) == {"squares sum to a third of n"}
    assert set(seconds_of(path, profile="quick", claims=["EIGHT"])) == {"eight over m is at most one"}
    assert seconds_of(path, profile="ci") == {}
    path.write_text(path.read_text() + "\n")
    assert kept(path)["changed"]
    assert seconds_of(path, profile="quick") == {}


class TestNext:
    def test_it_says_what_to_look_at_first(self, call, here):
        path = here / "theorems" / "small.py"
        assert "not checked: theorems/small" in call("next")[1]
        call("check")
        assert "nothing: every claim was checked" in call("next")[1]
        loose = path.read_text().replace("return 8 / run.m", "return 0.01 / run.m")
        path.write_text(loose.replace("bound=n, **DATA)", "bound=n, given=lambda run: len(run.x) == 9, **DATA)"))
        call("check", "--verdicts", "v.jsonl")
        (here / "v.jsonl").write_text((here / "v.jsonl").read_text().replace('"refuted"', '"not refuted"'))
        out = call("next", "--verdicts", "v.jsonl")[1]
        order = [out.index(word) for word in ("not refuted", "inconclusive", "loose, slack 800")]
        assert order == sorted(order)
        assert "check theorems/small.py --claim 'squares sum to n at most' --profile ci" in out
        assert len(json.loads(call("next", "--limit", "1", "--json")[1])) == 1

    def test_of_a_search_it_names_what_was_never_exercised(self, call, here):
        call("check")
        call("search", "small", "--claim", "eight", "--max-width", "2", "--evaluations", "3")
        assert "never exercised: theorems/small: eight over m is at most one" in call("next")[1]

    def test_theorems_that_come_along_are_called_by_name(self, call, here, monkeypatch):
        elsewhere = here / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        out = call("next", "--full")[1]
        assert "not checked: neural_operator/initial_gram\n  ntkverify check neural_operator/initial_gram\n" in out
        assert str(BROUGHT) not in out

    def test_verdicts_that_pytest_wrote(self, call, here):
        call("check", "--verdicts", "v.jsonl")
        (here / "v.jsonl").write_text((here / "v.jsonl").read_text().replace('"holds"', '"inconclusive"'))
        assert call("next", "--verdicts", "v.jsonl")[1].count("inconclusive: ") == 4


class TestRecord:
    def test_runs_fits_and_has_family_and_date(self, call, here):
        call(*SEARCH)
        _, out, err = call("runs")
        assert err == ""
        assert all(len(line) <= 80 for line in out.splitlines())
        assert out.splitlines()[1].split() == ["claim", "family", "date", "state", "exercised", "margin", "found"]
        assert f" vectors  {time.strftime('%Y')}-" in out
        found = json.loads(call("runs", "--json")[1])
        assert {row["regime"] for row in found} == {"vectors", "bare"}
        assert all(row["opened"] for row in found)

    def test_a_record_from_before_there_were_dates(self, call, here):
        call(*SEARCH)
        with closing(sqlite3.connect(here / "ntkverify.sqlite")) as db, db:
            db.execute("DROP TABLE dates")
        assert call("runs")[0] == 0
        assert call(*SEARCH)[0] == 0

    def test_minutes_are_minutes_and_what_is_not_reached_is_next(self, call, here, monkeypatch):
        """Setting a cell up takes longer than all of the minutes."""
        import ntkverify.search.campaign.campaign as campaign

        whole, made = campaign.space_of, []

        def slow(*arguments):
            made.append(arguments)
            time.sleep(0.7)
            return whole(*arguments)

        command = ["search", "small", "--minutes", "0.01", "--json"]
        with monkeypatch.context() as patched:
            patched.setattr(campaign, "space_of", slow)
            rows = json.loads(call(*command)[1])
        assert len(made) == 1
        assert [row["verdict"] for row in rows] == ["not found", *["not reached"] * (len(rows) - 1)]
        assert rows[0]["evaluations"] == 1
        _, out, _ = call("search", "small", "--minutes", "0.01")
        assert out.count("not reached") < len(rows) - 1

    @pytest.mark.parametrize(
        ("statuses", "margin", "verdict"),
        [
            ([], -0.5, "not found"),
            (["refuted"], -0.5, "not found"),
            (["refuted"], 0.5, "not found (refuted)"),
            (["unconfirmed"], 0.5, "not found (chance)"),
            ([], 0.5, "not followed up"),
            (["unconfirmed", "undecided"], 0.5, "float64 excess, undecided"),
            (["undecided", "certified"], 0.5, "violated (certified)"),
        ],
    )
    def test_a_positive_margin_is_explained(self, capsys, statuses, margin, verdict):
        from ntkverify.report.campaign import Summary

        row = {"evaluations": 9, "vacuous": 0, "seconds": 1.0, "best_margin": margin, "reason": "", "followed": True}
        summary = Summary()
        summary.add("a/theorem", "a claim", [{**row, "violations": [(status, {}) for status in statuses]}])
        summary.show()
        out = capsys.readouterr().out
        assert verdict in out
        assert summary.found == bool({"undecided", "certified"} & set(statuses))
        explained = {"not found (refuted)": "in balls it is kept", "not found (chance)": "fresh ones no more often"}
        assert explained.get(verdict, "") in " ".join(out.split())


class TestFolders:
    """A folder stands for its modules wherever a module is asked for."""

    @pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("list --claims", "doctor", "next")])
    def test_everywhere(self, call, here, small_source, name):
        (here / "theorems" / "deeper").mkdir()
        (here / "theorems" / "deeper" / "second.py").write_text(small_source)
        words = [word if word != "small" else "theorems" for word in COMMANDS[name]]
        found = json.loads(call(*words, "--json")[1])
        assert {row["theorem"] for row in found} == {"theorems/small", "deeper/second"}

    def test_a_violation_finds_its_module_in_a_folder(self, call, here):
        call(
            "search", "small", "--claim", "eight", "--plant", "eight over m is at most one * 1/2", "--evaluations", "9"
        )
        (file,) = (here / "violations").iterdir()
        (here / "moved").mkdir()
        (here / "theorems").rename(here / "moved" / "theorems")
        status, _, err = call("replay", file)
        assert (status, "say with --theorem where the module is now" in err) == (2, True)
        assert call("replay", file, "--theorem", "moved")[0] == 0
        assert call("certify", file, "--theorem", "moved/theorems/small.py")[0] == 0


class TestFrontier:
    def test_every_conclusion_that_prescribes_a_width_has_a_curve_and_a_figure(self, call, here):
        pytest.importorskip("matplotlib")
        status, out, _ = call("frontier", "small", "--all", "--draws", "80", "--high", "64", "--png", "--out", "f")
        assert status == 0
        assert "prescribed / needed" in out
        (data,) = (here / "f").glob("small.eight_over_m*.json")
        assert data.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        record = json.loads(data.read_text())
        assert record["high"] == 64
        assert all(s["value"] <= 64 for t in record["curve"] for s in t["samples"])
        assert {t["prescribed"] for t in record["curve"]} == {8}
        assert all(t["low"] < 8 <= t["high"] for t in record["curve"])

    def test_another_question_overwrites_nothing(self, call, here):
        for draws in (5, 6, 6):
            call("frontier", "small", "--draws", draws, "--high", "16", "--values", "1")
        assert len(list((here / "frontiers").iterdir())) == 2

    def test_few_draws_say_how_many_are_needed(self, call):
        _, out, _ = call("frontier", "small", "--draws", "10", "--low", "9", "--high", "20", "--values", "2")
        assert "holds wherever tried" in out
        (line,) = [line for line in out.splitlines() if line.startswith("n = 2")]
        assert "held at every width tried, but 10 draws there can't show that it holds in 0.9 of all; " in line
        needed = line.split("--draws ")[1]
        _, out, _ = call("frontier", "small", "--draws", needed, "--low", "9", "--high", "20", "--values", "2")
        assert "holds throughout" in out
        _, out, _ = call("frontier", "small", "--draws", int(needed) - 1, "--low", "9", "--high", "20", "--values", "2")
        assert "holds wherever tried" in out

    def test_the_legend_names_what_is_drawn(self, monkeypatch, tmp_path):
        pytest.importorskip("matplotlib")
        from matplotlib.axes import Axes

        from ntkverify.report.figures import phase_diagram
        from ntkverify.search.frontier.bisection import Sample, Threshold

        named = []
        monkeypatch.setattr(
            Axes, "legend", lambda axes, **options: named.append(axes.get_legend_handles_labels()[1]) or None
        )
        samples = (Sample(1.0, 0, 9, 0.0, 0.3), Sample(4.0, 9, 9, 0.7, 1.0))
        open_band = [Threshold(n, 2.0, None, None, None, samples) for n in (1.0, 2.0)]
        banded = [replace(t, low=1.0, high=4.0, prescribed=9.0) for t in open_band]
        for curve in (open_band, banded, [replace(open_band[0], value=None)]):
            phase_diagram(curve, tmp_path / "x.png", over="width", against="n", title="", fraction=0.9)
        line = "holds in 0.9 of the draws"
        assert named == [[line], [line, "band", "prescribed"]]

    def test_what_is_prescribed_is_a_median_of_many_and_its_spread_is_told(self):
        from ntkverify.report.frontiers import table_rows
        from ntkverify.search.frontier.bisection import Threshold

        (row,) = table_rows([Threshold(2.0, 4.0, 1.0, None, 8.5e10, (), spread=(1.3e8, 2e13))])
        assert row == ("2", "4", "from 1", "8.5e10 (1e08 .. 2e13)", "2.12e+10")
