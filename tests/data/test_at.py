"""A theorem at given data: the numbers are those of its roles, and what is said of them is true."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.data.cost import Cost, bytes_in_words, estimated_cost, seconds_in_words
from ntkverify.data.limit import limit_spectrum
from ntkverify.data.roles import contraction_of, family_at
from ntkverify.glossary import eta, lambda_0
from ntkverify.instances import SEPARATED
from ntkverify.judging.draws import simplest_instance
from ntkverify.symbolic.limit.gram import LimitGram

THEOREMS = Path(__file__).parents[2] / "theorems" / "natural_gradient"

TWO = {"inputs": np.eye(2), "targets": [1.0, -1.0]}


def random_inputs(n, d=3, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_orthonormal_inputs_give_the_published_figures(regression):
    at = regression.at(TWO)
    # lambda_0 = ||H^inf|| = 1/2 for an orthonormal basis, to the width of an enclosure
    assert at.limit.enclosure is not None
    assert at.limit.enclosure.lower <= 0.5 <= at.limit.enclosure.upper
    assert at.limit.least == pytest.approx(0.5, rel=1e-5)
    assert at.largest_step == pytest.approx(4 / 3)
    assert {p.split: p.width for p in at.prescribed} == {"textbook": 11190496, "optimal": 663333}
    assert at.width == 663333
    claim, factor = at.contracts
    assert claim.kind == "conclusion"
    assert factor == pytest.approx(2 / 3)
    assert at.steps_to(1e-6) == math.ceil(math.log(1e-6) / math.log(2 / 3)) == 35
    assert not any(met.fails for met in at.assumptions)


def test_the_contraction_is_read_from_the_bound(regression, pinn):
    for theorem in (regression, pinn):
        _, factor = contraction_of(theorem)
        assert (factor - (1 - eta * lambda_0 / 2)).simplify() == 0


def test_the_optimal_split_is_that_of_these_data(regression):
    at = regression.at((random_inputs(5), np.linspace(-1, 1, 5)))
    textbook, optimal = at.prescribed
    published = regression.at(TWO).prescribed[1].parameters
    assert optimal.width < textbook.width
    assert optimal.parameters["tau"] != published["tau"]
    # the bound on the targets is read from them, unless it is given
    assert at.parameters["C"] == 1.0
    assert regression.at(TWO, C=2.0, delta=0.2).prescribed[0].parameters["C"] == 2.0


def test_assumptions_are_missed_by_how_much(regression):
    at = regression.at({"inputs": 2 * np.eye(2), "targets": [1, 3]}, C=1, width=64, step=1.0)
    missed = {met.name: met.margin for met in at.assumptions if met.fails}
    assert missed["unit inputs"] == pytest.approx(-1)
    assert missed["targets at most C"] == -2
    assert missed["step at most 2/(3 ||H^inf||)"] == pytest.approx(at.largest_step - 1)
    assert missed["width at least m_0"] == pytest.approx(64 - at.prescribed[0].width, abs=1)


def test_widths_are_compared_to_their_rounding(regression):
    """m_0 is some roundings of its size off, and a multiple of them is nothing to spare."""
    points = random_inputs(8, 2), np.ones(8)
    wide = next(met for met in regression.at(points).assumptions if met.name == "width at least m_0")
    assert wide.neurons > 1e14
    assert wide.words == "met, with equality to rounding"
    more = next(m for m in regression.at(TWO, width=11190496 + 3000, split="textbook").assumptions if m.neurons)
    assert more.words == "met, 3e+03 neurons to spare"
    less = next(m for m in regression.at(TWO, width=11190496 - 3000, split="textbook").assumptions if m.neurons)
    assert less.words == "missed by 3e+03 neurons"


def test_a_width_beyond_float64_is_one_sentence(regression):
    with pytest.raises(NtkVerifyError, match=r"prescribes at these data and parameters is inf, beyond float64; give"):
        _ = regression.at(TWO, delta=1e-320).prescribed


def test_inputs_of_length_one_on_request(regression):
    points = np.random.default_rng(0).uniform(-1, 1, (4, 2))
    assert regression.at((points, np.ones(4)), width=64).assumptions[0].fails
    at = regression.at((points, np.ones(4)), width=64, unit=True)
    assert at.data.blocks["inputs"].shape == (4, 3)
    assert not at.assumptions[0].fails


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([[1, 0], [0, 1], [1, 0]], "block 'inputs': row 2 repeats row 0: remove one of the two."),
        ([[1, 0], [0, 1], [0, 2]], "block 'inputs': row 2 is to rounding parallel to row 1: remove"),
        (
            [[1, 0], [0, 1], [1, 0], [0, 2], [0.6, 0.8]],
            "block 'inputs': row 2 repeats row 0; row 3 is to rounding parallel to row 1: remove one of each pair, "
            "since the limit Gram matrix is singular with both, or append a 1 to all with --unit (unit=True).",
        ),
        ([[1, 0], [0, 0]], "row 1 of 'inputs' is the zero vector"),
    ],
)
def test_samples_that_no_kernel_tells_apart(regression, inputs, said):
    with pytest.raises(NtkVerifyError) as refusal:
        regression.at((inputs, np.ones(len(inputs))))
    assert said in str(refusal.value)
    assert "remove" in str(refusal.value)


def test_lines_of_a_file_are_named(regression, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("x1,x2,y\n1,0,1\n0,1,1\n2,0,1\n")
    with pytest.raises(NtkVerifyError, match=r"line 4 is to rounding parallel to .*points.csv, line 2"):
        regression.at(path)
    assert not any(met.fails for met in regression.at(path, unit=True).assumptions)
    path.write_text("x1,x2,y\n" + "1,0,1\n" * 4 + "0,1,1\n0,3,1\n" * 3)
    with pytest.raises(NtkVerifyError) as refusal:
        regression.at(path, unit=True)
    assert str(refusal.value).startswith(f"block 'inputs': {path}, line 3 repeats {path}, line 2; {path}, line 4 rep")
    assert str(refusal.value).endswith("; and 2 more pairs: remove one of each pair.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"family": "trainin"}, "has no instances 'trainin'"),
        ({"delty": 0.1}, "has no parameter 'delty'; did you mean 'delta'?"),
        ({"t": 0.5}, "has no parameter 't'; "),  # a part of delta's name is not delta
        ({"relax": ["wdth"]}, "has no assumption 'wdth'"),
        ({"relax": "width"}, "relax is a list of assumptions, not one; write relax=['width']."),
        ({"split": "best"}, "has no split 'best'"),
        ({"width": 0}, "width must be positive, not 0."),
        ({"step": math.nan}, "step must be positive, not nan."),
    ],
)
def test_names_and_numbers_that_the_theorem_lacks(regression, options, said):
    with pytest.raises(NtkVerifyError) as refusal:
        regression.at(TWO, **options)
    assert said in str(refusal.value)


def test_a_theorem_without_a_width_says_so(pinn):
    points = {"interior": [[0.2, 0.3], [0.8, 0.7]], "boundary": [[0.0, 0.5], [0.5, 1.0]]}
    at = pinn.at(points)
    assert at.prescribed == []
    assert at.width == 16384
    shown = "\n".join(at.lines())
    assert "not given: source, values" in shown
    assert "'separated' has 16,384 neurons" in shown
    assert max(map(len, at.lines())) <= 80


def test_without_a_closed_form_the_error_is_estimated(monkeypatch, regression):
    run = regression.at(TWO)._at_rest
    assert limit_spectrum(run).words.startswith("certified in [0.49999")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = limit_spectrum(run)
    assert found.enclosure is None
    assert "python-flint is missing" in found.words
    assert abs(found.least - 0.5) <= found.error < 1e-13


def test_an_enclosure_and_float64_agree_within_the_error_that_is_stated(regression):
    for n in (3, 12):
        found = regression.at((random_inputs(n), np.zeros(n)), certify=True, width=64).limit
        assert float(found.enclosure.lower) - found.error <= found.eigenvalues[0]
        assert found.eigenvalues[0] <= float(found.enclosure.upper) + found.error
        assert float(found.enclosure.upper - found.enclosure.lower) <= 2e-6 * found.least


def test_memory_is_what_a_run_allocates_and_time_grows_with_the_work(regression):
    at = regression.at(TWO, width=4096, steps=10)
    short, long = at.cost(10), at.cost(100_000)
    assert short.memory == long.memory >= 8 * 4096 * (2 * 2 + 1)  # weights as they are and were, signs
    assert long.seconds > short.seconds > 0
    wide = estimated_cost(at.run_of, regression.at(TWO, width=2**40).instance)
    assert not wide.fits
    assert isinstance(wide, Cost)
    assert bytes_in_words(1.5 * 2**30) == "1.5 GiB"
    assert [seconds_in_words(s) for s in (3.0, 180.0, 3e4, 1e6, 1e12)] == [
        "3 s",
        "3 min",
        "8.3 h",
        "12 days",
        "3.2e+04 years",
    ]


def test_what_is_shown_is_what_is_computed(regression):
    at = regression.at(TWO)
    content = json.loads(json.dumps(at.to_dict()))
    assert content["prescribed"] == {"textbook": 11190496, "optimal": 663333}
    assert content["steps_to_1e-6"] == 35
    lines = "\n".join(at.lines())
    for said in ("663,333", "11,190,496", "certified in", "steps to 1e-6", "width at least m_0"):
        assert said in lines
    page = at._repr_html_()
    assert "<details>" in page
    assert "||H^inf||" in page


def test_data_of_an_instance_meet_what_the_instance_meets(regression):
    at = regression.at(TWO)
    again = regression.at(at.instance.data, width=at.width, split=at.split)
    assert not any(met.fails for met in again.assumptions)


@pytest.mark.parametrize("name", ["neural_operator/gradient_descent", "neural_operator/physics_informed"])
def test_a_rate_that_is_a_sum_over_kernels_is_certified_too(name):
    theorem = load_theorem(THEOREMS.parent / f"{name}.py")
    at = theorem.at(simplest_instance(family_at(theorem)).data)
    assert at.limit is None
    low, high = map(float, at.rate_known.removeprefix("certified in [").rstrip("]").split(", "))
    assert low <= at.rate * (1 + 1e-12)
    assert at.rate * (1 - 1e-12) <= high
    assert high - low < 1e-8 * at.rate
    assert max(map(len, at.lines())) <= 80


def test_a_supremum_that_is_not_reached_is_no_step():
    """At step 1 natural gradient descent's bound is zero at once: the family's own step is taken."""
    theorem = load_theorem(THEOREMS / "natural_gradient_pinn.py")
    at = theorem.at({"interior": [[0.2, 0.3], [0.8, 0.7]], "boundary": [[0.0, 0.5]]}, width=64)
    assert at.largest_step == 1
    assert 0 < at.step < 1
    assert at.contracts[1] == pytest.approx(1 - at.step)
    assert at.steps_to(1e-6) == math.ceil(math.log(1e-6) / math.log(1 - at.step))


def test_a_theorem_that_declares_no_data_shows_by_its_draws_which(tmp_path):
    """Blocks and their companions are read from an instance; what a claim assumes is then the family's affair."""
    theorem = load_theorem(THEOREMS.parent / "nonlinear_regime" / "residual_dynamics.py")
    drawn = simplest_instance(family_at(theorem))
    at = theorem.at(drawn.data, width=16)
    assert at.shapes["interior_target"] == (at.shapes["interior"][0],)
    assert set(at.beyond) == set(at.claims.kept)
    assert all(why.startswith("the theorem says this of") for why in at.beyond.values())


@pytest.mark.parametrize("width", [None, 512])
def test_what_is_likely_of_drawn_data_is_not_claimed_of_others(width):
    """At ||r(0)|| = 1 the chain breaks with 512 neurons, as a control says: the theorem's claim is of 0.03."""
    theorem = load_theorem(THEOREMS.parent / "beyond" / "implicit_gradient.py")
    family = "tanh, 512 neurons, eta = 1"
    data = {**SEPARATED, "source": [np.sqrt(0.5)] * 2, "values": [np.sqrt(0.5)] * 2}
    at = theorem.at(data, family=family, width=width)
    likely = [name for name, claim in at.claims.kept.items() if claim.quantifier.is_decided_by_redrawing]
    assert [name for name in likely if name.startswith("tanh, 512 neurons, ||r(0)|| = 0.03")]
    assert all(at.beyond[name].startswith("the theorem says this of") for name in likely)
    # what holds of any step does so of these
    assert "recursion: r(k) = (I + eta H(k+1)) r(k+1) + I(k)" not in at.beyond


def test_a_theorem_that_trains_nothing_is_refused(tmp_path):
    path = tmp_path / "algebra.py"
    path.write_text(
        "import sympy\n"
        "from ntkverify import Instance, Source, Theorem, always\n"
        "from ntkverify.problems.algebra import AlgebraRun\n"
        "theorem = Theorem('A square', source=Source(), statement='$x^2 \\\\ge 0$')\n"
        "theorem.instances('one', run=AlgebraRun, quick=1)(lambda: Instance(parameters={'x': 1.0}))\n"
        "theorem.conclusion('squares', of=lambda run: -run.x**2, holds=always, bound=0)(None)\n"
        "theorem.control('not squares', of=lambda run: run.x**2, holds=always, bound=0)(None)\n"
    )
    text = path.read_text().replace(")(None)\n", ")\n")
    path.write_text(text)
    with pytest.raises(NtkVerifyError, match="trains no network, so that it says nothing at data of yours"):
        load_theorem(path).at(TWO)


def test_a_theorem_about_the_start_takes_one_draw():
    """Nothing is trained, so that there is no step; a wide network costs a sweep and no memory."""
    theorem = load_theorem(THEOREMS / "initial_gram_pinn.py")
    at = theorem.at({"interior": [[0.2, 0.3], [0.8, 0.7]], "boundary": [[0.0, 0.5]]})
    assert at.largest_step is None
    assert at.step == at.steps == 0
    cost = at.cost()
    assert cost.width == at.prescribed_width > 2**16
    assert cost.steps == 0
    assert cost.memory < 2**24
    assert any(line.startswith("time") and "one draw of" in line for line in at.lines())
    report = at.check(draws=1)
    assert not any(v.status == "violated" for v in report.within)


class TestBeyondMemory:
    """Where H^inf does not fit, the angles between samples say between what its least eigenvalue lies."""

    SAMPLES = (random_inputs(60, 6), np.ones(60))

    @pytest.fixture
    def small(self, monkeypatch):
        monkeypatch.setattr("ntkverify.data.limit.free_memory", lambda: 8 * 15 * 60**2 - 1)

    def test_the_ends_hold_the_eigenvalue_and_all_numbers_are_safe(self, regression, monkeypatch):
        known = regression.at(self.SAMPLES, certify=False)
        monkeypatch.setattr("ntkverify.data.limit.free_memory", lambda: 8 * 15 * 60**2 - 1)
        at = regression.at(self.SAMPLES)
        assert known.bounds is None
        assert at.limit.least <= known.limit.least <= at.limit.bounds.upper
        assert at.limit.norm >= known.limit.norm
        assert 0 < at.largest_step <= known.largest_step
        assert at.prescribed_width >= known.prescribed_width
        assert at.steps_to() >= known.steps_to()
        assert at.cost() is None

    @pytest.mark.usefixtures("small")
    def test_both_ends_are_printed_and_what_the_matrix_would_take(self, regression):
        at = regression.at(self.SAMPLES)
        text = " ".join("\n".join(at.lines(width=100)).split())
        assert f"lambda_0 {at.limit.least:.6g} at least; at most {at.limit.bounds.upper:.6g}, from the angles" in text
        assert "an eigenvalue of 60 samples takes 0.000402 GiB where" in text
        written = at.to_dict()
        assert written["lambda_0"] == at.limit.least
        assert written["lambda_0_at_most"] == at.limit.bounds.upper

    @pytest.mark.usefixtures("small")
    def test_an_output_scale_enters(self):
        theorem = load_theorem(THEOREMS.parent / "beyond" / "coupled_regression.py")
        one, four = (theorem.at(self.SAMPLES, alpha=scale).limit.least for scale in (1.0, 2.0))
        assert four == pytest.approx(4 * one)

    @pytest.mark.usefixtures("small")
    def test_no_matrix_is_formed(self, regression, monkeypatch):
        whole, sizes = LimitGram.matrix_with_error, []

        def formed(limit, points, **options):
            sizes.append(len(points))
            return whole(limit, points, **options)

        monkeypatch.setattr(LimitGram, "matrix_with_error", formed)
        regression.at(self.SAMPLES).lines()
        assert 60 not in sizes  # but for the instances that the theorem draws itself

    @pytest.mark.usefixtures("small")
    @pytest.mark.parametrize(
        ("inputs", "said"),
        [
            (np.repeat(np.eye(6), 10, axis=0), "row 1 repeats row 0"),
            (np.repeat(np.eye(6), 10, axis=0) + 1e-12 * np.arange(60)[:, None], "not known to be positive"),
        ],
    )
    def test_what_angles_do_not_tell_apart_is_refused(self, regression, inputs, said):
        with pytest.raises(NtkVerifyError, match=said):
            regression.at((inputs, np.ones(60)))

    @pytest.mark.usefixtures("small")
    def test_networks_whose_angles_say_nothing_are_refused_with_the_figures(self):
        theorem = load_theorem(THEOREMS.parent / "beyond" / "damped_regression.py")
        with pytest.raises(NtkVerifyError, match=r"an eigenvalue of 60 samples needs 0\.0004.* GiB but"):
            theorem.at(self.SAMPLES)
