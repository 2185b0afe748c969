"""Claims about a population of runs: a search draws on, refutes false ones and leaves true ones alone."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from ntkverify import Instance, Source, Theorem, correlates, in_law, moment, scales_as
from ntkverify.cli import main
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.report.campaign import summarise
from ntkverify.search.campaign.campaign import search_cell
from ntkverify.search.campaign.cells import AND, SAMPLING, cells_of
from ntkverify.search.campaign.store import Store
from ntkverify.search.evidence.violation import Violation

HERE = __file__


def noise(run):
    return np.random.default_rng(run.instance.seed)


def of_width(width):
    return lambda: Instance(width=width)


def claimed(holds, measure, families=("draws",)):
    theorem = Theorem("population", source=Source(), statement="s", id="population")
    if families == ("draws",) and measure in (normal, pair):  # of one kind, which takes Hypothesis no time
        theorem.instances("draws", run=AlgebraRun, quick=200)(lambda: Instance(width=1))
        families = ()
    for name in families:
        theorem.instances(name, run=AlgebraRun, quick=200)(lambda draw: Instance(width=2 ** draw(st.integers(4, 12))))
    theorem.conclusion("claim", holds=holds)(measure)
    return theorem


def normal(run):
    return noise(run).standard_normal()


def pair(run):
    x, y = noise(run).standard_normal(2)
    return np.array([x, x + 2 * y])


CASES = {
    "variance 10% off": (moment(2, 1.1, within=0.03), moment(2, 1, within=0.1), normal),
    "Laplace for normal": (in_law(stats.laplace.cdf, within=0.01), in_law(stats.norm.cdf, within=0.04), normal),
    "exponent 0.1 off": (
        scales_as(-0.4, tolerance=0.04),
        scales_as(-0.5, tolerance=0.08),
        lambda run: abs(normal(run)) / run.m**0.5,
    ),
    "correlated less": (correlates(0.5), correlates(0.1), pair),
}  # fmt: skip


def searched(theorem, evaluations=1000, **options):
    cells = cells_of(theorem, path=HERE, evaluations=evaluations, **options)
    with Store(None) as store:
        for cell in cells:
            assert search_cell(theorem, cell, store, path=HERE)
        return cells, summarise(store, cells)


@pytest.mark.heavy
@pytest.mark.parametrize("name", CASES)
def test_a_false_one_is_refuted_and_its_twin_is_not(name):
    false, true, measure = CASES[name]
    _, summary = searched(claimed(false, measure))
    assert summary.rows[0]["verdict"] == "violated (fresh seeds)"
    (content,) = summary.contents
    violation = Violation.from_json(json.dumps(content))
    assert violation.evidence["kind"] == "population"
    assert violation.evidence["alpha"] == 1e-6
    _, summary = searched(claimed(true, measure))
    assert (summary.rows[0]["verdict"], summary.found) == ("not found", False)
    assert summary.rows[0]["best_margin"] < 0


def test_what_the_draws_leave_open_is_reported():
    """A variance that is 17% off where 5% are allowed is four standard errors past it in 1600 draws, and not five."""
    _, summary = searched(claimed(moment(2, 1.2, within=0.05), normal), evaluations=100)
    assert summary.rows[0]["verdict"] == "excess in draws, undecided"
    assert summary.found


NEARLY = {
    # 60 draws over three widths, the error of the exponent twice the tolerance
    "exponent": (
        scales_as(-0.5, tolerance=0.1),
        lambda run: np.exp(normal(run)) / run.m**0.5,
        {"quick": 20, "evaluations": 2},
        (4, 8, 16),
    ),
    "moment": (moment(2, 1, within=0.05), normal, {"quick": 500, "evaluations": 32}, (1,)),
    # tau is 2/pi arcsin(0.158) = 0.101
    "rank correlation": (
        correlates(0.1),
        lambda run: noise(run).standard_normal(2) @ [[1, 0.16], [0, 1]],
        {"quick": 60, "evaluations": 4},
        (1,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEARLY)
def test_a_true_one_that_few_draws_take_past_its_claim_is_no_finding(name):
    """Of 20 true ones at the edge one is open with a probability of 2% at most; the entropies are fixed."""
    holds, measure, size, widths = NEARLY[name]
    theorem = Theorem("population", source=Source(), statement="s", id="population")
    for width in widths:
        theorem.instances(f"m = {width}", run=AlgebraRun, quick=size["quick"])(of_width(width))
    theorem.conclusion("claim", holds=holds)(measure)
    words = Counter()
    for entropy in range(20):
        _, summary = searched(theorem, size["evaluations"], entropy=entropy)
        words[summary.rows[0]["verdict"]] += 1
        assert not summary.found
    assert set(words) == {"not found", "not found (chance)"}


def test_families_that_make_one_sample_are_one_cell():
    pooled = claimed(scales_as(-0.5, tolerance=0.1), CASES["exponent 0.1 off"][2], ("one", "two"))
    (cell,), summary = searched(pooled, evaluations=20)
    assert (cell.family, cell.engine) == (f"one{AND}two", SAMPLING)
    assert not summary.found
    apart = claimed(moment(2, 1, within=0.3), normal, ("one", "two"))
    assert [cell.family for cell in cells_of(apart, path=HERE)] == ["one", "two"]
    assert cells_of(apart, path=HERE, families=["two"])[0].family == "two"


def test_a_number_that_the_test_can_not_take_ends_it_with_the_last_look():
    """The logarithm of a zero, which one draw in thousands measures."""
    zero = claimed(scales_as(-0.5, tolerance=0.2), lambda run: float(noise(run).random() > 0.5) / run.m**0.5)
    _, summary = searched(zero, evaluations=20)
    assert summary.rows[0]["verdict"] == "never exercised"
    assert "positive" in summary.rows[0]["reason"]


def test_a_theorem_is_searched_with_them_and_a_file_replays_as_far_as_it_can(tmp_path, capsys):
    path = tmp_path / "law.py"
    path.write_text(
        "import numpy as np\nfrom ntkverify import Instance, Source, Theorem, moment, always\n"
        "from ntkverify.problems.algebra import AlgebraRun\n"
        "theorem = Theorem('law', source=Source(), statement='s')\n"
        "theorem.instances('draws', run=AlgebraRun, quick=600)(lambda: Instance(width=1))\n"
        "theorem.conclusion('second moment 2', holds=moment(2, 2, within=0.1))(\n"
        "    lambda run: np.random.default_rng(run.instance.seed).standard_normal())\n"
        "theorem.control('none', holds=always, bound=0)(lambda run: 1.0)\n"
    )
    files = ["--store", str(tmp_path / "s.sqlite"), "--out", str(tmp_path / "out")]
    assert main(["search", str(path), "--evaluations", "100", *files]) == 1
    assert "violated (fresh seeds)" in capsys.readouterr().out
    (file,) = (tmp_path / "out").glob("*.json")
    assert main(["certify", str(file)]) == 1
    assert "statement about" in capsys.readouterr().out
    assert main(["replay", str(file)]) == 2
