"""Quiet ends and odd terminals, as a shell has them: processes of their own."""

import json
import os
import subprocess
import sys

import pytest

from ntkverify.commands.group import UNREAD

FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
GREEK = "\u03bb\u2080 \u2264 \u2016H^\u221e\u2016"


@pytest.fixture
def shell(here):
    """Runs a line of a shell in which `ntkverify` is this one; returns its status, output and error stream."""

    def run(line, **environment):
        ours = "".join(f'{name}() {{ {sys.executable} -m {name} "$@"; }}; ' for name in ("ntkverify", "pytest"))
        kept = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {ours}{line}"], capture_output=True, check=False, env=kept
        )
        return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")

    return run


@pytest.fixture
def greek(here):
    path = here / "theorems" / "small.py"
    path.write_text(path.read_text().replace("eight over m is at most one", GREEK), encoding="utf-8")


class TestUnread:
    """A reader that leaves is no verdict: neither a traceback nor the status of a violation."""

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    @pytest.mark.parametrize("line", ["ntkverify list", "ntkverify --help", "ntkverify --version"])
    def test_of_what_is_quick(self, shell, line, unbuffered):
        assert shell(f"{line} | true", PYTHONUNBUFFERED=unbuffered) == (UNREAD, "", "")

    def test_of_a_search_and_its_record(self, shell):
        search = "ntkverify search small --claim coin --claim 'rounds an' --evaluations 8 --engine random"
        assert shell(f"{search} | true", PYTHONUNBUFFERED="1") == (UNREAD, "", "")
        assert shell("ntkverify runs | true", PYTHONUNBUFFERED="1") == (UNREAD, "", "")

    def test_where_the_sentence_itself_is_not_read(self, shell):
        assert shell("ntkverify nonsense 2>&1 | true") == (2, "", "")

    @pytest.mark.parametrize(("closed", "status"), [("list >&-", 0), ("list 2>&-", 0), ("nonsense >&- 2>&-", 2)])
    def test_streams_that_the_shell_has_closed(self, shell, closed, status):
        found, _, err = shell(f"ntkverify {closed}")
        assert (found, err) == (status, "")


class TestEncodings:
    """What a terminal's encoding lacks is printed as an escape."""

    @pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
    def test_a_title_in_greek(self, shell, here, encoding):
        path = here / "theorems" / "small.py"
        path.write_text(path.read_text().replace('"Small"', '"\u039b\u00fc"'), encoding="utf-8")
        status, out, err = shell("ntkverify list", PYTHONIOENCODING=encoding)
        wanted = "\\u039b" + ("\\xfc" if encoding == "ascii" else "\u00fc")
        assert (status, err, wanted in out) == (0, "", True)

    def test_a_claim_in_greek_of_a_search_a_check_and_pytest(self, shell, greek):
        escaped = "\\u03bb\\u2080 \\u2264 \\u2016H^\\u221e\\u2016"
        search = f"ntkverify search small --claim {GREEK[:2]} --evaluations 8 --engine random"
        for line in (search, f"ntkverify check --claim {GREEK[:2]}", "pytest -q theorems/small.py"):
            status, out, err = shell(line, PYTHONIOENCODING="cp1252", PYTHONUTF8="1")
            assert (status, err, escaped in out) == (0, "", True), line

    def test_what_a_table_cuts_short_stays_one_column(self, shell, here):
        path = here / "theorems" / "small.py"
        path.write_text(path.read_text().replace('"Small"', f'"{"long " * 40}"'), encoding="utf-8")
        _, out, _ = shell("ntkverify list", PYTHONIOENCODING="ascii")
        assert max(map(len, out.splitlines())) == 80
        assert "~" in out


@FULL
class TestFull:
    """A disk without room is one sentence; what was computed is shown."""

    def test_what_is_printed(self, shell):
        status, out, err = shell("ntkverify list > /dev/full")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "No space left on device: what is printed can't be written whole; make room" in err

    def test_verdicts(self, shell):
        status, out, err = shell("ntkverify check --claim eight --verdicts /dev/full")
        assert (status, "eight over m is at most one  holds" in out, err.count("\n")) == (2, True, 1)
        assert "--verdicts /dev/full: No space left on device, verdicts are missing there" in err
        status, out, err = shell("pytest -q theorems/small.py -k eight --verdicts /dev/full")
        assert (status, "1 holds" in out, "INTERNALERROR" in out) == (4, True, False)
        assert "--verdicts /dev/full: No space left on device" in out

    def test_verdicts_at_data_of_ones_own(self, shell, here):
        (here / "points.csv").write_text("1,0,0.5\n0,1,0.5\n")
        (here / "mine.py").write_text(OWN)
        line = "ntkverify check mine.py --data points.csv --width 8 --steps 1 --draws 3 --verdicts /dev/full"
        status, out, err = shell(line)
        assert (status, "losses are finite" in out, err.count("\n")) == (2, True, 1), err


def test_replay_from_another_folder_says_where_to_name_the_module(shell, here):
    shell("ntkverify search small --claim 'squares sum to a third' --evaluations 40 --engine random")
    (file,) = (here / "violations").iterdir()
    (here / "elsewhere").mkdir()
    status, _, err = shell(f"cd elsewhere; ntkverify replay {file}")
    assert (status, err.count("\n")) == (2, 1)
    assert "there is no theorem file theorems/small.py; say with --theorem where the module is now" in err
    status, out, _ = shell(f"cd elsewhere; ntkverify replay {file} --theorem ../theorems --json")
    assert (status, json.loads(out)["violated"]) == (0, True)


OWN = """
from ntkverify import Source, Theorem, always
from ntkverify.instances import bounded_targets, families, orthonormal_inputs
from ntkverify.lemmas import premises
from ntkverify.problems.on_data import regression_instance
from ntkverify.problems.regression import RegressionRun
from ntkverify.glossary import limit_norm

theorem = Theorem("Own", source=Source(), statement="S")
eta_max = theorem.constant("eta_max", 1 / limit_norm, "largest step")
DATA = premises.unit_inputs(theorem)
premises.step_at_most(theorem, "step at most 1/||H^inf||", eta_max)


def instance(draw, *, width):
    inputs, targets = orthonormal_inputs(2), bounded_targets(draw, 2, 1.0)
    return regression_instance(theorem, inputs, targets, width=width, steps=2, C=1.0)


theorem.instances("training", run=RegressionRun, quick=2)(families.family(instance, width=8))
theorem.conclusion("losses are finite", holds=always, bound=10**9, of="losses")
theorem.control("losses are negative", holds=always, bound=-1, of="losses")
"""
