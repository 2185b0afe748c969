"""Exit statuses of every command, missing packages, folders that can't be written, Ctrl-C, errors of our own."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ntkverify.commands.group import COMMANDS
from ntkverify.judging.budget import BUDGETS, Budget

QUARTER = "squares sum to n at most * 1/4"


@pytest.fixture
def violation(call, here):
    """The file of a violation that a search has found."""
    status, _, err = call(
        "search",
        "small",
        "--claim",
        "squares sum to n",
        "--plant",
        QUARTER,
        "--evaluations",
        "40",
        "--engine",
        "random",
    )
    assert status == 1, err
    (file,) = (here / "violations").iterdir()
    return file


def replaced(here, old, new):
    path = here / "theorems" / "small.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class TestWellAndFound:
    def test_check(self, call, here):
        assert call("check")[0] == 0
        assert call("check", "--kind", "control")[0] == 0
        replaced(here, 'm is at most one", holds=always, bound=1', 'm is at most one", holds=always, bound=0.5')
        status, out, _ = call("check", "--kind", "conclusion")
        assert status == 1
        assert "violated: conclusion 'eight over m is at most one'" in out

    def test_a_control_that_is_not_refuted(self, call, here, monkeypatch):
        # a control is drawn on until it is refuted; here it is true
        monkeypatch.setitem(BUDGETS, "quick", Budget(data=9, draws=40, work=1e6))
        replaced(here, "bound=n / 3", "bound=n")
        status, out, _ = call("check", "--kind", "control")
        assert (status, "not refuted: control" in out) == (1, True)

    def test_an_inconclusive_claim_names_its_remedy_and_may_be_allowed(self, call, here):
        replaced(
            here, 'bound=1, on="vectors")\ndef narrow', 'bound=1, on="vectors", given=lambda run: False)\ndef narrow'
        )
        status, out, _ = call("check", "--kind", "conclusion")
        assert status == 1
        assert "remedy: let the instances meet the assumptions 'entries at most 1', 'width at least 8'" in " ".join(
            out.split()
        )
        assert call("check", "--kind", "conclusion", "--allow-inconclusive")[0] == 0

    def test_search_and_what_deals_with_its_findings(self, call, here, violation):
        assert call("replay", violation)[0] == 0
        assert call("certify", violation)[0] == 0
        assert call("runs")[0] == 0
        assert call("search", "small", "--claim", "squares sum to n", "--evaluations", "20", "--store", "b")[0] == 0
        kept = json.loads(violation.read_text())
        kept["plants"] = []
        violation.write_text(json.dumps(kept))
        status, out, _ = call("certify", violation)
        assert (status, "REFUTED" in out) == (1, True)

    def test_an_undecided_excess(self, call):
        claim = "rounds an enclosed number"
        status, out, _ = call(
            "search", "small", "--claim", claim, "--plant", f"{claim} * 1/4", "--evaluations", "30", "--full"
        )
        assert (status, "float64 excess, undecided" in out) == (1, True)

    def test_necessity(self, call):
        needed = ["necessity", "small", "--claim", "squares sum to n", "--evaluations", "60"]
        status, out, _ = call(*needed, "--assumption", "entries at most 1", "--full")
        assert (status, "violated (certified)" in out) == (1, True)
        status, out, _ = call(*needed, "--assumption", "width at least 8", "--full")
        assert (status, "no such claim assumes it" in out) == (0, True)

    def test_the_others(self, call, here):
        assert call("list")[0] == call("show", "small")[0] == call("next")[0] == call("doctor")[0] == 0
        assert call("new", "mine/own.py")[0] == 0
        assert call("slack", "small", "--draws", "5", "--max-width", "16")[0] == 0
        assert call("mutants", "small", "--only", "eight")[0] == 0
        assert call("frontier", "small", "--draws", "10", "--high", "20", "--values", "1")[0] == 0

    def test_a_mutant_that_the_check_misses(self, call, here, monkeypatch):
        from ntkverify.search.campaign.mutants import Hunt

        found = Hunt("eight over m is at most one", violated=True, reached=1.2, evaluations=9)
        monkeypatch.setattr("ntkverify.commands.checking.fates.hunts", lambda *a, **options: [found])
        replaced(here, "return 8 / run.m", "return 4 / run.m")
        status, out, _ = call("mutants", "small", "--only", "eight over m", "--survivors", "--json")
        assert (status, json.loads(out)[0]["status"]) == (1, "missed")


def test_the_verdicts_are_those_of_pytest(call, here):
    """Alone, shared out, and by pytest, whatever the folder's own configuration says."""
    (here / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")

    def lines(records):
        return [{key: value for key, value in record.items() if key != "seconds"} for record in records]

    alone = lines(json.loads(call("check", "--json")[1]))
    assert len(alone) == 5
    assert lines(json.loads(call("check", "--processes", "2", "--json")[1])) == alone
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "theorems/small.py", "--verdicts", "v.jsonl"]
    subprocess.run(command, cwd=here, check=True, stdout=subprocess.DEVNULL)
    assert lines(map(json.loads, (here / "v.jsonl").read_text().splitlines())) == alone


class TestBadInput:
    @pytest.mark.parametrize(
        "typed",
        [
            ["list", "nowhere"],
            ["show", "nowhere.py"],
            ["check", "nowhere"],
            ["check", "--entropy", "-1"],
            ["check", "--backend", "abacus"],
            ["check", "--verdicts", "no/such/folder/v"],
            ["next", "--verdicts", "nowhere.jsonl"],
            ["next", "--verdicts", "theorems/small.py"],
            ["next", "--store", "theorems/small.py"],
            ["slack", "small", "--fraction", "2"],
            ["slack", "small", "--backend", "abacus"],
            ["slack", "small", "--instance", "nowhere.json"],
            ["slack", "small", "--relax", "luck", "--max-width", "4"],
            ["mutants", "small", "--draws", "3", "--survivors"],
            ["mutants", "small", "--past-slack", "--survivors"],
            ["mutants", "small", "--seconds", "0"],
            ["search", "small", "--minutes", "0"],
            ["search", "small", "--engine", "steam"],
            ["search", "small", "--plant", "more or less"],
            ["search", "small", "--out", "theorems/small.py/x"],
            ["search", "small", "--store", "no/such/folder/s"],
            ["necessity", "small", "--minutes", "-1"],
            ["necessity", "small", "--out", "theorems/small.py"],
            ["frontier", "small", "--values", "a"],
            ["frontier", "small", "--values", "99"],
            ["frontier", "small", "--fraction", "2"],
            ["frontier", "small", "--over", "nothing"],
            ["frontier", "small", "--out", "theorems/small.py"],
            ["replay", "nowhere.json"],
            ["certify", "nowhere.json"],
            ["runs", "nowhere.sqlite"],
            ["runs", "theorems/small.py"],
            ["new", "theorems/small.py"],
            ["new", "mine.txt"],
            ["new", "test_mine.py"],
            ["new", "mine_test.py"],
            ["new", "theorems/small.py/mine.py"],
            ["new", "mine.py", "--title", "a\\b"],
            ["new", "mine.py", "--kind", "none"],
            ["certify", "x.json", "--bits", "9", "--limit", "5"],
            ["list", "--claims", "broken.py"],
        ],
    )
    def test_it_is_one_sentence(self, call, here, typed):
        (here / "broken.py").write_text("import ntkverify\n1 / 0\ntheorem = Theorem(\n)\n")
        status, _, err = call(*typed)
        assert status == 2
        assert err.startswith("ntkverify: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        "typed",
        [
            ["slack", "small", "--relax"],
            ["search", "small", "--relax"],
            ["necessity", "small", "--assumption"],
        ],
        ids=lambda typed: typed[0],
    )
    @pytest.mark.parametrize(
        ("name", "meant"), [("widht", "width at least 8"), ("entries at mots 1", "entries at most 1")]
    )
    def test_of_a_mistyped_assumption_the_nearest_is_named_before_anything_is_computed(self, call, typed, name, meant):
        status, out, err = call(*typed, name)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"did you mean {meant!r}?" in err

    @pytest.mark.parametrize("typed", ["smal", "theorems/smal.py", "theorem/small", "Small"])
    def test_of_a_mistyped_theorem_the_nearest_is_named(self, call, typed):
        status, _, err = call("show", typed)
        assert (status, "did you mean theorems/small.py?" in err) == (2, True), err

    def test_an_empty_folder_and_one_that_holds_a_broken_module(self, call, here):
        (here / "empty").mkdir()
        status, _, err = call("check", "empty")
        assert (status, "`ntkverify new empty/mine.py` writes one" in err) == (2, True)
        (here / "theorems" / "broken.py").write_text("import ntkverify\n1 / 0\ntheorem = Theorem(\n)\n")
        status, out, err = call("check", "--claim", "eight")
        assert status == 2  # and the other module is checked all the same
        assert "holds" in out
        assert "ZeroDivisionError in line 2" in err

    def test_a_file_without_a_theorem_is_named_beside_one_that_has(self, call, here):
        (here / "none.py").write_text("import ntkverify\n")
        status, out, err = call("check", "none.py", "small", "--claim", "eight")
        assert (status, "holds" in out) == (2, True)
        assert err.count("none.py has no line `theorem = Theorem(...)`") == 1
        status, out, err = call("check", "none.py")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "none.py has no line" in err

    def test_a_theorem_in_a_file_that_is_named_like_a_test(self, call, here):
        (here / "theorems" / "small.py").rename(here / "test_small.py")
        status, out, err = call("check", "test_small.py")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "test_small.py is named like a file of ordinary tests" in err
        assert "rename it" in err

    def test_what_fails_in_a_module_is_the_authors_line(self, call, here):
        line = 1 + (here / "theorems" / "small.py").read_text().splitlines().index("    return 8 / run.m")
        replaced(here, "return 8 / run.m", "return 8 / run.x[77]")
        status, out, err = call("check", "--kind", "conclusion")
        assert status == 2
        assert f"small.py:{line}: claim 'eight over m is at most one'" in " ".join(out.split())
        assert "IndexError" in out
        assert "Traceback" not in out + err
        status, _, err = call("slack", "small")
        assert (status, f"small.py:{line}" in err, err.count("\n")) == (2, True, 1)
        _, out, _ = call("search", "small", "--claim", "eight", "--evaluations", "5")
        assert f"never exercised: 'eight over m is at most one': small.py:{line}:" in " ".join(out.split())

    def test_where_a_run_can_not_even_be_made(self, call, here):
        broken = "class Run(AlgebraRun):\n    def __init__(self, *a, **k):\n        {}['mine']\n\n\n"
        replaced(here, "theorem = Theorem(", broken + "theorem = Theorem(")
        replaced(here, "run=AlgebraRun", "run=Run")
        status, out, _ = call("check", "--kind", "conclusion")
        assert status == 2
        assert "small.py:12: KeyError: 'mine'" in " ".join(out.split())


class TestMissing:
    """Said before anything is computed, with what brings it."""

    @pytest.fixture
    def computes_nothing(self, monkeypatch):
        def computed(*arguments, **options):
            raise AssertionError("something was computed")

        for module, name in (
            ("ntkverify.judging.check", "judge"),
            ("ntkverify.search.campaign.workers", "search_cell"),
            ("ntkverify.search.frontier.frontier", "frontier"),
            ("ntkverify.judging.slack", "slack_profile"),
            ("ntkverify.search.evidence.certify", "certify"),
        ):
            monkeypatch.setattr(importlib.import_module(module), name, computed)

    @pytest.mark.parametrize(
        ("package", "typed", "extra"),
        [
            ("matplotlib", ["frontier", "small", "--png"], "ntkverify[report]"),
            ("flint", ["search", "small"], "ntkverify[certify]"),
            ("flint", ["necessity", "small"], "ntkverify[certify]"),
            ("cupy", ["check", "--backend", "gpu"], "ntkverify[cuda12]"),
            ("cupy", ["slack", "small", "--backend", "gpu"], "ntkverify[cuda12]"),
            *[
                ("distributed", [*typed, *option], "ntkverify[distributed]")
                for typed in (["check"], ["search", "small"], ["necessity", "small"], ["frontier", "small"])
                for option in (["--workers", "2"], ["--processes", "2"], ["--scheduler", "tcp://127.0.0.1:8786"])
            ],
        ],
    )
    def test_it_is_one_sentence(self, call, monkeypatch, computes_nothing, package, typed, extra):
        monkeypatch.setitem(sys.modules, package, None)
        status, out, err = call(*typed)
        assert (status, out) == (2, "")
        assert extra in err
        assert err.count("\n") == 1

    def test_what_deals_with_findings(self, call, violation, monkeypatch):
        monkeypatch.setitem(sys.modules, "flint", None)
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        for typed, extra in ((["certify", violation], "ntkverify[certify]"), (["runs", "--parquet", "x"], "pyarrow")):
            status, out, err = call(*typed)
            assert (status, out) == (2, "")
            assert extra in err
        assert call("replay", violation)[0] == 0

    def test_claims_of_probability_are_searched_without_balls(self, call, monkeypatch):
        monkeypatch.setitem(sys.modules, "flint", None)
        assert call("search", "small", "--claim", "a fair coin", "--evaluations", "4")[0] == 0

    def test_the_doctor_knows_what_is_missing(self, call, monkeypatch):
        monkeypatch.setitem(sys.modules, "flint", None)
        rows = {row["what"]: row for row in json.loads(call("doctor", "--json")[1])}
        assert rows["python-flint (ball arithmetic)"]["remedy"] == "pip install 'ntkverify[certify]'"

    def test_a_cache_that_can_not_be_written_hinders_nothing_and_is_named(self, call, here, monkeypatch):
        monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(here / "theorems" / "small.py" / "cache"))
        assert call("check", "--kind", "conclusion")[0] == 0
        status, out, _ = call("doctor", "--json")
        assert status == 2
        assert [row["what"] for row in json.loads(out) if row["bad"]] == ["cache"]


#: where each command is when it is interrupted or fails
INSIDE = {
    "list": ("ntkverify.theorem.files", "id_of", ["list"]),
    "show": ("ntkverify.theorem.loading", "load_theorem", ["show", "small"]),
    "check": ("ntkverify.judging.check", "judge", ["check", "--kind", "conclusion"]),
    "report": ("ntkverify.judging.check", "judge", ["report", "small"]),
    "next": ("ntkverify.commands.checking.kept", "kept", ["next"]),
    "slack": ("ntkverify.judging.slack", "slack_profile", ["slack", "small"]),
    "mutants": ("ntkverify.commands.checking.fates", "mutants", ["mutants", "small", "--only", "eight"]),
    "search": ("ntkverify.search.campaign.campaign", "score", ["search", "small", "--claim", "eight"]),
    "necessity": ("ntkverify.search.campaign.campaign", "score", ["necessity", "small", "--claim", "eight"]),
    "frontier": ("ntkverify.search.frontier.frontier", "frontier", ["frontier", "small"]),
    "replay": ("ntkverify.search.evidence.replay", "replay", ["replay", "FILE"]),
    "certify": ("ntkverify.search.evidence.certify", "certify", ["certify", "FILE"]),
    "runs": ("ntkverify.search.campaign.store", "Store", ["runs"]),
    "new": ("ntkverify.commands.needs", "folder", ["new", "mine.py"]),
    "doctor": ("ntkverify.execution.machine.memory", "free_memory", ["doctor"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_interrupted_or_broken_inside(request, call, monkeypatch, name):
    module, attribute, typed = INSIDE[name]
    if "FILE" in typed:
        typed = [request.getfixturevalue("violation") if word == "FILE" else word for word in typed]
    for error, expected, sentence in (
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("of ours"), 3, "an error of ntkverify's own"),
    ):

        def fails(*arguments, error=error, **options):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(importlib.import_module(module), attribute, fails)
            status, _, err = call(*typed)
        assert status == expected, err
        assert sentence in err
        assert "Traceback" not in err
        assert "on record" not in err
        assert "stand above" not in err


def test_traceback_shows_where_an_error_of_ours_comes_from(call, monkeypatch):
    def fails(path):
        raise RuntimeError("of ours")

    monkeypatch.setattr("ntkverify.theorem.loading.load_theorem", fails)
    status, _, err = call("--traceback", "show", "small")
    assert status == 3
    assert "Traceback" in err


@pytest.mark.parametrize("processes", [1, 2])
def test_a_search_that_is_interrupted_leaves_no_process_and_goes_on(here, processes):
    command = [
        sys.executable, "-m", "ntkverify", "search", "small", "--evaluations", "1000000", "--engine", "random",
        "--claim", "squares sum to n", "--claim", "eight", "--processes", str(processes),
    ]  # fmt: skip
    status, out, err = _interrupted(command, lambda: _evaluations(here))
    assert status == 130
    assert (out, err.strip().count("\n")) == ("", 0), err
    assert "the same command goes on" in err
    assert _evaluations(here) > 0


def test_a_check_by_two_processes_that_is_interrupted_leaves_none(here):
    slow = "import time; open('begun', 'w').close(); time.sleep(600)"
    replaced(here, "    return 8 / run.m", f"    {slow}")
    command = [sys.executable, "-m", "ntkverify", "check", "--processes", "2", "--claim", "eight", "--claim", "third"]
    status, out, err = _interrupted(command, (here / "begun").exists)
    assert status == 130
    # whether the other process is done with the quick claim by then is the machine's affair
    reached = "; the verdicts that were reached stand above" if "third" in out else ""
    assert f"interrupted{reached}.\n" in err
    assert "Traceback" not in out + err


def _interrupted(command, has_begun):
    """Exit status, output and errors of a command that is interrupted once it has begun, and leaves no process."""
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # where these tests run in the background, what they start would not hear of it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not has_begun():
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does: all processes are told
        out, err = process.communicate(timeout=60)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and _is_there(process.pid):  # a helper of multiprocessing ends by itself
            time.sleep(0.1)
        assert not _is_there(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def _is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _evaluations(here):
    from ntkverify import NtkVerifyError
    from ntkverify.search.campaign.store import Store

    try:
        with Store(here / "ntkverify.sqlite", must_exist=True) as store:
            return store.progress()[0]
    except NtkVerifyError:  # not there yet
        return 0


@pytest.mark.parametrize("times", [1, 3000], ids=["at the end", "amid"])
def test_a_reader_that_has_seen_enough_is_no_violation(here, times):
    # what a pipe and Python hold back is met only by much output
    program = (
        "import sys, ntkverify.report.console as c; from ntkverify.cli import main; old = c.show_json; "
        f"c.show_json = lambda rows: [old(rows) for _ in range({times})]; sys.exit(main(['list', '--json']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=here
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (141, "")


def test_help_that_nobody_reads(here):
    with subprocess.Popen(
        [sys.executable, "-m", "ntkverify", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (141, "")
