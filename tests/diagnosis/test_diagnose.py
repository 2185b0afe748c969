"""A physics-informed network diagnosed: against linearised operators, against training, against known kernels."""

import sys

import numpy as np
import pytest
import sympy

from ntkverify import NtkVerifyError, diagnose
from ntkverify.diagnosis.spectrum import NaturalGradient, Spectrum
from ntkverify.problems.nonlinear.equations import viscous_burgers
from ntkverify.problems.pinn import heat_equation, problem_limit
from ntkverify.symbolic.network.operators import heat, laplacian, navier_stokes

ENDS = [[0.0], [1.0]]


def line(n):
    return {"interior": (np.arange(n)[:, None] + 0.5) / n, "boundary": ENDS}


def space_time(n, k, seed=0):
    rng = np.random.default_rng(seed)
    return {"interior": rng.uniform(0, 1, (n, 2)), "boundary": np.column_stack([np.zeros(k), np.linspace(0, 1, k)])}


def front(t, x):
    return sympy.sin(2 * x) * sympy.exp(-t) + x**2


def test_a_nonlinear_equation_at_a_state_has_the_kernel_of_the_equation_linearised_there():
    points = space_time(4, 3)
    nonlinear = diagnose("burgers", "erf", points, width=64, state=front)

    def linearised(xs):
        return viscous_burgers(xs).linearised(front(*xs))

    linear = diagnose(linearised, "erf", points, width=64)
    assert not nonlinear.problem.is_linear
    assert linear.problem.is_linear
    for one, other in ((nonlinear.limit, linear.limit), (nonlinear.initial, linear.initial)):
        np.testing.assert_allclose(one.eigenvalues, other.eigenvalues, atol=1e-12 * one.norm)
    # the residual of the state itself, by calculus
    t, x = sympy.symbols("t x")
    u = front(t, x)
    residual = sympy.lambdify((t, x), u.diff(t) + u * u.diff(x) - u.diff(x, 2) / 10)
    expected = residual(*points["interior"].T) / np.sqrt(4)
    np.testing.assert_allclose(nonlinear.residuals[:4], expected, rtol=1e-12)


def test_the_state_of_the_drawn_network_is_the_default():
    points = space_time(4, 3)
    drawn = diagnose("burgers", "erf", points, width=32)
    given = diagnose("burgers", "erf", points, width=32, state=drawn.state)
    np.testing.assert_allclose(given.initial.eigenvalues, drawn.initial.eigenvalues, atol=1e-12 * drawn.initial.norm)
    np.testing.assert_allclose(given.residuals, drawn.residuals, atol=1e-13)
    assert "linearised at the network that was drawn" in drawn.notes[-1]
    other = diagnose("burgers", "erf", points, width=32, state=front)
    assert abs(other.initial.norm / drawn.initial.norm - 1) > 0.01


def test_the_limit_is_that_of_the_theorems_and_wide_networks_approach_it():
    points = space_time(4, 3)
    limit = diagnose("heat", "relu3", points, width=2).limit
    known = np.linalg.eigvalsh(problem_limit("relu3", heat_equation, 2).matrix(points, normalise=True))[::-1]
    np.testing.assert_allclose(limit.eigenvalues, known, rtol=1e-10)
    narrow, wide = (
        np.sqrt(np.mean([diagnose("poisson", "erf", line(3), width=m, seed=s).deviation ** 2 for s in range(16)]))
        for m in (2**8, 2**12)
    )
    # m^(-1/2) makes it 4; a root mean square over 16 draws is off by a fifth or so
    assert 2 < narrow / wide < 8


@pytest.mark.parametrize("fraction", [0.9, 1.1])
def test_stable_is_what_training_does(fraction):
    width = 2**14
    step = fraction * diagnose("poisson", "tanh", line(4), width=width).initial.stable_step
    d = diagnose("poisson", "tanh", line(4), width=width, steps=10, step=step)
    trained = d.train(progress=False)
    top = np.abs(trained.residuals @ d.initial.vectors[:, 0])
    # |1 - eta lambda| = 0.8 or 1.2 along the largest eigenvector, while so wide a network hardly moves
    assert top[10] / top[0] == pytest.approx(abs(1 - 2 * fraction) ** 10, rel=0.2)
    assert (top[10] < top[0]) == (fraction < 1)
    np.testing.assert_allclose(trained.losses[:6], d.predicted_losses()[:6], rtol=0.05)


def test_modes_learned_are_those_that_training_has_learned():
    d = diagnose("poisson", "tanh", line(6), width=2**13, steps=300, targets={"interior": np.ones(6)})
    along = d.initial.vectors.T
    trained = np.abs(along @ d.train(progress=False).residuals[-1]) / np.abs(along @ d.residuals)
    assert 0 < d.learned < len(d.residuals)
    # of a mode far from the threshold there is no doubt
    left = d.initial.left(d.step, d.steps)
    sure = (left < 1e-3) | (left > 0.1)
    assert sure.sum() >= 6
    np.testing.assert_array_equal((trained <= 0.01)[sure], (left <= 0.01)[sure])
    until = d.initial.steps_until(d.step)
    np.testing.assert_array_equal(until <= d.steps, left <= 0.01)
    assert d.shares.sum() == pytest.approx(1)


def test_beyond_the_stable_step_nothing_is_said_to_be_learned():
    d = diagnose("poisson", "tanh", line(3), width=64, step=1000.0, steps=50)
    row = d.rows()[-1]
    assert row == ("modes learned in 50 steps", "-", "-")
    stable = d.initial.stable_step
    said = f"the step 1000 is beyond the largest stable step {stable:.4g} of H(0): the linearised residual grows"
    assert any(note.startswith(said) for note in d.notes)
    assert "of what it was" not in str(d)
    at_it = diagnose("poisson", "tanh", line(3), width=64, step=stable, steps=50)
    assert at_it.rows()[-1][2].endswith("of 5")
    assert "of what it was" in " ".join(at_it.notes)


def test_where_the_residual_is_zero_there_is_nothing_to_learn():
    d = diagnose("burgers", "erf", space_time(3, 2), width=64, state=lambda t, x: 0)
    assert not d.residuals.any()
    assert "there is nothing to learn" in " ".join(d.notes)
    assert "of what it was" not in " ".join(d.notes)


@pytest.mark.parametrize(
    ("condition", "columns", "word"),
    [(1e3, 100, "well conditioned"), (1e6, 100, "ill-conditioned"), (np.inf, 100, "ill-posed"), (1e3, 2, "impossible")],
)
def test_natural_gradient_is_said_to_be(condition, columns, word):
    found = NaturalGradient(condition=condition, columns=columns, rows=3)
    assert found.words.startswith(word)
    assert found.is_well_conditioned is (word == "well conditioned")
    if word == "ill-conditioned":  # eps 1e6 leaves nine digits, eps 1e12 three
        assert "about 9 digits of a step are right by QR of J^T, 3 by Cholesky" in found.words
    assert found.is_solvable is (word in ("well conditioned", "ill-conditioned"))


def test_two_points_that_nearly_coincide_are_ill_posed():
    points = {"interior": [[0.5], [0.5 + 1e-9], [0.2]], "boundary": ENDS}
    d = diagnose("poisson", "tanh", points, width=256)
    assert d.initial.is_singular
    assert d.initial.condition == np.inf
    assert "ill-posed" in str(d)
    apart = diagnose("poisson", "tanh", {"interior": [[0.5], [0.2]], "boundary": ENDS}, width=256)
    assert apart.natural_gradient.is_solvable
    assert diagnose("poisson", "tanh", line(4), width=1).natural_gradient.words.startswith("impossible")


def test_a_spectrum_knows_what_rounding_does_to_it():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    exact = np.array([3.0, 1.0, 1e-3, 1e-8, 0.0])
    found = Spectrum.of("H", (basis * exact) @ basis.T)
    assert (np.abs(found.eigenvalues - exact) <= found.error).all()
    assert found.is_singular
    assert found.stable_step == pytest.approx(2 / 3)
    assert repr(found).startswith("<spectrum of H: 5 eigenvalues")


def test_vector_equations_and_blocks_with_equations_of_their_own():
    points = {name: np.random.default_rng(i).uniform(size=(3, 2)) for i, name in enumerate(("momentum", "mass"))}
    equations = {
        "momentum": lambda xs: navier_stokes(xs, reynolds=10)[f"momentum_{xs[0]}"],
        "mass": lambda xs: navier_stokes(xs, reynolds=10)["continuity"],
    }
    d = diagnose(equations, "sin", points, width=128, trainable=("inner", "inner_bias", "outer"))
    assert not d.problem.is_linear
    assert len(d.residuals) == 6
    assert d.initial.norm > 0


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("haet", "tanh", line(2)), {}, "has no equation 'haet'; did you mean 'heat'?"),
        (("heat", "tanh", line(2)), {}, "'heat' has time and space, but the points have one coordinate."),
        (("burgers", "tanh", line(2)), {}, "'burgers' has 2 coordinates, but the points have 1."),
        (("poisson", "relu", line(2)), {}, "needs 3 derivatives of the activation"),
        (("poisson", "tanh"), {}, "there are no points"),
        (("poisson", "tanh", {"inside": [[0.5]], "ends": ENDS}), {}, "none of the blocks ['ends', 'inside'] is called"),
        (("poisson", "tanh", {"boundary": ENDS}), {}, "none of the blocks ['boundary'] is called 'interior', where"),
        (("poisson", "tanh", {"interor": ENDS}), {}, "did 'interor' mean it? rename it, or give an equation for each"),
        (("poisson", "tanh", [[0.5], [0.1], [0.5]]), {}, "row 2 repeats row 0: remove one of the two."),
        (("poisson", "tanh", [[0.5], [np.nan]]), {}, "row 1 is [nan]; correct or remove it."),
        (("poisson", "tanh", {"interior": [[0.5, 1]], "boundary": ENDS}), {}, "need one number of coordinates"),
        (("poisson", "tanh", line(2)), {"targets": {"interior": [1.0]}}, "must be 2 finite numbers"),
        (("poisson", "tanh", line(2)), {"targets": {"bondary": [1, 2]}}, "has no block 'bondary'; did you mean"),
        (("poisson", "tanh", line(2)), {"targets": np.ones(2)}, "targets are given by block, not as ndarray; write"),
        (("poisson", "tanh", line(2)), {"targets": {"interior": "ab"}}, "targets of 'interior' are not a rect"),
        (("poisson", "tanh", line(2)), {"targets": {"interior": [1j, 0]}}, "targets of 'interior' are complex"),
        (("poisson", "tanh", line(2)), {"width": 0}, "width must be a whole number, at least 1, not 0."),
        (("poisson", "tanh", line(2)), {"width": 64.5}, "width must be a whole number, at least 1, not 64.5."),
        (("poisson", "tanh", line(2)), {"seed": -1}, "seed must be a whole number, at least 0, not -1."),
        (("poisson", "tanh", line(2)), {"steps": "9"}, "steps must be a finite number, not '9'."),
        (("poisson", "tanh", line(2)), {"step": "0.1"}, "step must be a finite number, not '0.1'."),
        (("poisson", "tanh", line(2)), {"step": 0}, "step must be positive, not 0."),
        (("poisson", "tanh", line(2)), {"trainable": "inner"}, "a sequence of names, not one; write trainable=('in"),
        (("poisson", "tanh", line(2)), {"trainable": 3}, "trainable is a sequence of names, not 3."),
        (("poisson", "tanh", [[1j], [2]]), {}, "points of 'interior' are complex; give real numbers"),
        (("poisson", "tanh", np.ones((2, 2, 2))), {}, "points of 'interior' have the shape (2, 2, 2); give rows of"),
        (("heat", "tanh", {"interior": [[0.5, 1]], "boundary": [1, 2]}), {}, "'boundary' has 1; a flat array is one"),
        (("burgers", "erf", space_time(2, 2)), {"state": lambda x: x}, "have 2 coordinates, which the state does not"),
        (("burgers", "erf", space_time(2, 2)), {"state": lambda t, x: np.sin(x)}, "by sympy.sin, not numpy.sin."),
        (("burgers", "erf", space_time(2, 2)), {"state": lambda t, x: sympy.Symbol("z")}, "the state z is no expr"),
        (("burgers", "erf", space_time(2, 2)), {"state": lambda t, x: None}, "returns a sympy expression"),
        (("burgers", "erf", space_time(2, 2)), {"state": 3}, "a state is a function of the coordinates or a mapping"),
        (("burgers", "erf", space_time(2, 2)), {"state": {"interor": [1]}}, "no block 'interor'; did you mean 'int"),
        ((3, "tanh", line(2)), {}, "an equation is a name or a function of the coordinates, not 3."),
        ((lambda xs: 3, "tanh", line(2)), {}, "returns an Operator"),
        ((heat, "tanh", space_time(2, 2)), {}, "'heat' can't be called (missing a required argument: 'space'); give a"),
        ((lambda t, x: laplacian((t, x)), "tanh", space_time(2, 2)), {}, "give a function of one argument, the tuple"),
        ((lambda: 3, "tanh", line(2)), {}, "can't be called (too many positional arguments); give a function of one"),
        ((lambda p: p[3], "tanh", line(2)), {}, "can't be made of 1 coordinates (IndexError: tuple index out of range"),
        ((lambda p: laplacian(p.x), "tanh", line(2)), {}, "(AttributeError: 'tuple' object has no attribute 'x'); giv"),
        (("burgers", "erf", space_time(2, 2)), {"state": {"interior": [[1.0]]}}, "must have the shape (2, 4)"),
        (("burgers", "erf", space_time(2, 2)), {"state": lambda t, x: sympy.log(-1 - t)}, "is not finite at a point"),
    ],
)
def test_mistakes_are_one_sentence(arguments, options, said):
    with pytest.raises(NtkVerifyError) as refusal:
        diagnose(*arguments, **options)
    assert said in str(refusal.value)


def test_a_whole_number_may_be_a_float():
    d = diagnose("poisson", "tanh", line(2), width=64.0, steps=1e3)
    assert (type(d.width), d.width, d.steps) == (int, 64, 1000)
    assert "modes learned in 1,000 steps" in str(d)


def test_shown_in_a_terminal_and_in_a_notebook(capsys):
    d = diagnose("poisson", "tanh", line(3), width=64, targets={"boundary": [0, 1]})
    for said in ("condition number", "largest stable step 2/||H||", "natural gradient:", "stable:", "64 neurons"):
        assert said in str(d)
    assert max(map(len, d.lines())) <= 80
    assert len(repr(d)) < 160
    page = d._repr_html_()
    assert page.count("<tr>") == 1 + 5 + 1 + 5
    assert "<details>" in page
    assert capsys.readouterr() == ("", "")  # no bar where nobody looks


def test_a_figure_of_both_spectra_and_of_the_losses(monkeypatch):
    pytest.importorskip("matplotlib")
    d = diagnose("poisson", "tanh", line(3), width=64, steps=20)
    left, right = d.plot(train=True).axes
    assert [line.get_label() for line in right.lines] == ["linearised", "trained"]
    np.testing.assert_array_equal(left.lines[0].get_ydata(), d.limit.eigenvalues)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NtkVerifyError, match="pip install 'ntkverify"):
        d.plot()
