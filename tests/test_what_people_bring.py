"""Two further inputs of every kind that bug reports of neighbouring projects name, beside those of each module's tests.

The symptoms are those of public reports, translated: each class names one or two. Values are computed here another way.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sympy
from hypothesis import strategies as st
from sympy import Piecewise, Rational, cos, exp, log, pi, sin, sqrt, tanh

from ntkverify import Check, Instance, NtkVerifyError, Source, Theorem, always, load_theorem
from ntkverify.execution import make_executor
from ntkverify.execution.draw import draw_weights
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.pinn import pinn
from ntkverify.problems.regression import RegressionRun, least_eigenvalue, limit_gram_matrix
from ntkverify.symbolic.expression.functions import Softplus, Z
from ntkverify.symbolic.limit.coincident import singular_to_rounding
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.neuron import network_neuron, pinn_neuron, random_features_neuron, regression_neuron
from ntkverify.symbolic.network.operators import Operator, coordinates, identity, unknown
from ntkverify.theorem.files import ids_of
from ntkverify.training import Adam, HeavyBall, adam, follow, gradient_descent, levenberg_marquardt

T, X, Y = coordinates("t x y")
U = unknown("u", (T, X, Y))
UNIT = [[0.6, 0.8]]


def any_theorem():
    return Theorem("T", source=Source(), statement="S")


def sentence(call):
    with pytest.raises(NtkVerifyError) as refusal:
        call()
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def second_moment(expression, x=UNIT):
    """E sigma(w.x)^2, the limit Gram matrix of trained outer weights at one point."""
    neuron = regression_neuron(Activation("tried", expression), dimension=len(x[0]), trainable=("outer",))
    return limit_gram(neuron).matrix(x)[0, 0]


def gaussian_mean(function, deviation=1.0):
    """E function(deviation z) by Simpson's rule on 2^16 intervals of [-12, 12]."""
    z, h = np.linspace(-12, 12, 2**16 + 1, retstep=True)
    weights = np.full(len(z), 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    return (weights * function(deviation * z) * np.exp(-(z**2) / 2)).sum() * h / 3 / np.sqrt(2 * np.pi)


def features_of(expression, points):
    """A random feature model of an equation at samples, in the reference executor."""
    neuron = random_features_neuron("sin", {"data": Operator.from_expression(expression, [U], (T, X, Y))})
    return neuron, make_executor(neuron, {"data": points}, {"data": np.zeros(len(points))}, backend="array")


@pytest.mark.filterwarnings("error")
class TestFunctionsOfOneForm:
    """Approximate GELU and Mish as frameworks write them; a sigmoid that is written as e^z/(1 + e^z) overflows."""

    @pytest.mark.parametrize(
        ("expression", "function"),
        [
            (
                Z / 2 * (1 + tanh(sqrt(2 / pi) * (Z + Rational("0.044715") * Z**3))),
                lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
            ),
            (Z * tanh(log(1 + exp(Z))), lambda z: z * np.tanh(np.logaddexp(0, z))),
            (Z + sin(5 * Z) ** 2 / 5, lambda z: z + np.sin(5 * z) ** 2 / 5),
        ],
        ids=["GELU by tanh", "Mish", "Snake"],
    )
    def test_activations_of_frameworks(self, expression, function):
        assert second_moment(expression) == pytest.approx(gaussian_mean(lambda z: function(z) ** 2), rel=1e-10)

    def test_a_quotient_of_exponentials_far_out(self):
        wanted = gaussian_mean(lambda z: (z / (1 + np.exp(-np.clip(z, -700, 700)))) ** 2, 100.0)
        assert second_moment(Z * exp(Z) / (1 + exp(Z)), [[60.0, 80.0]]) == pytest.approx(wanted, rel=1e-7)


class TestCoefficients:
    """Materials in regions of the plane; a narrow peak, eps/(eps^2 + (x - c)^2); a radius that is 0 at the origin."""

    def test_a_disk_of_another_material(self):
        points = np.array([[0.0, 0.5, 0.5], [0.0, 1.0, 1.0]])
        neuron, _ = features_of(Piecewise((6, X**2 + Y**2 < 1), (1, True)) * U.diff(X, 2), points)
        plain, _ = features_of(U.diff(X, 2), points)
        factors = np.outer([6, 1], [6, 1])
        np.testing.assert_allclose(
            limit_gram(neuron).matrix(points), factors * limit_gram(plain).matrix(points), rtol=1e-13
        )

    @pytest.mark.parametrize("width", [1e-3, 1e-10])
    def test_a_peak_keeps_its_height(self, width):
        """Multiplied out, the divisor is a difference of numbers of 1/width^2."""
        peak = 1 / (pi * width * (1 + ((X - 0.25) / width) ** 2))
        points = np.array([[0.0, 0.25, 0.0], [0.5, 0.75, 0.25]])
        heights = 1 / (np.pi * width * (1 + ((points[:, 1] - 0.25) / width) ** 2))
        (neuron, executor), (plain, bare) = features_of(peak * U, points), features_of(U, points)
        weights, frozen = draw_weights(neuron, 1, 9)
        residuals = [e.forward(weights, frozen).residuals for e in (executor, bare)]
        np.testing.assert_allclose(residuals[0], heights * residuals[1], rtol=1e-12)
        wanted = np.outer(heights, heights) * limit_gram(plain).matrix(points)
        np.testing.assert_allclose(limit_gram(neuron).matrix(points), wanted, rtol=1e-12)

    def test_a_radial_coefficient_at_the_origin(self):
        points = np.array([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])
        said = sentence(lambda: features_of((2 * X**2 + Y**2) / sqrt(X**2 + Y**2) * U.diff(X), points))
        assert "of block 'data' is nan at sample 1 (t = 0, x = 0, y = 0); move the sample, or write the term's" in said


class TestComplex:
    """Schroedinger's equation with Python's own complex numbers, and with a factor e^(ix)."""

    @pytest.mark.parametrize("equation", [1j * U.diff(T) + U.diff(X, 2) / 2, U.diff(X) - exp(sympy.I * X) * U])
    def test_equations(self, equation):
        said = sentence(lambda: Operator.from_expression(equation, [U], (T, X, Y)))
        assert "is complex; write its real and imaginary part as two equations in two real unknowns, one block" in said

    def test_complex_numbers_among_objects_and_complex_weights(self):
        neuron, points = regression_neuron("tanh", dimension=2), {"data": np.eye(2)}
        given = np.array([1.0, 1j], dtype=object)
        assert "targets['data'] are complex; make two real problems" in sentence(
            lambda: make_executor(neuron, points, {"data": given}, backend="array")
        )
        executor = make_executor(neuron, points, {"data": [1.0, 0.0]}, backend="array")
        weights, frozen = draw_weights(neuron, 1, 4)
        said = sentence(lambda: gradient_descent(executor, weights + 0j, frozen, eta=0.1, steps=1))
        assert said == "weights are complex; give real numbers, such as the real parts."


class TestManyInputs:
    """Equations in a hundred dimensions: code that grows with the number of inputs compiles for minutes."""

    def test_a_hundred_oscillators(self):
        """-Laplacian u + |x|^2 u of sin is (|w|^2 + |x|^2) sin: values from sums of squares of normal numbers."""
        x = coordinates(" ".join(f"x_{i}" for i in range(100)))
        u = unknown("u", x)
        squares = sympy.Add(*(s**2 for s in x))
        equation = -sympy.Add(*(u.diff(s, 2) for s in x)) + squares * u
        start = time.process_time()
        neuron = random_features_neuron("sin", {"data": Operator.from_expression(equation, [u], x)})
        point = np.full((1, 100), 0.1)
        found = limit_gram(neuron).matrix(point)[0, 0]
        assert time.process_time() - start < 15
        # E (|w|^2 + s)^2 sin^2(w.x) at |x|^2 = s = 1, from E |w|^(2k) cos(t w.x) for k = 0, 1, 2 and t = 0, 2
        mean = {
            t: ((102 * 100 - 2 * 102 * t**2 + t**4) + 2 * (100 - t**2) + 1) * np.exp(-(t**2) / 2) for t in (0.0, 2.0)
        }
        assert found == pytest.approx((mean[0.0] - mean[2.0]) / 2, rel=1e-11)

    @pytest.mark.heavy
    def test_a_bellman_equation(self):
        variables = coordinates("t " + " ".join(f"x_{i}" for i in range(100)))
        t, *x = variables
        u = unknown("u", variables)
        laplacian, slope = sympy.Add(*(u.diff(s, 2) for s in x)), sympy.Add(*(u.diff(s) ** 2 for s in x))
        start = time.process_time()
        neuron = pinn_neuron("tanh", Operator.from_expression(u.diff(t) + laplacian - slope, [u], variables))
        points = {"interior": np.full((1, 101), 0.05), "boundary": np.full((1, 101), 0.02)}
        targets = {name: np.zeros(1) for name in points}
        executor = make_executor(neuron, points, targets)
        weights, frozen = draw_weights(neuron, 1, 16)
        found = executor.forward(weights, frozen).residuals[0]
        assert time.process_time() - start < 15
        w, a = weights, frozen[:, 0]
        z = np.tanh(w @ np.append(points["interior"][0], 1.0))
        first, second = 1 - z**2, -2 * z * (1 - z**2)
        gradient = (a * first) @ w[:, :101] / 4
        wanted = gradient[0] + (a * second) @ (w[:, 1:101] ** 2).sum(axis=1) / 4 - (gradient[1:] ** 2).sum()
        assert found == pytest.approx(wanted, rel=1e-11)


@pytest.mark.filterwarnings("error")
class TestSteep:
    """Softplus with a factor of 1e30, which overflows elsewhere, and a steep sigmoid."""

    def test_softplus_in_the_limit_of_relu(self):
        assert second_moment(Softplus(10**30 * Z) / 10**30) == pytest.approx(0.5, rel=1e-9)

    def test_a_sigmoid_of_two_hundred(self):
        wanted = gaussian_mean(lambda z: (0.5 + 0.5 * np.tanh(100 * z)) ** 2)
        assert second_moment(1 / (1 + exp(-200 * Z))) == pytest.approx(wanted, rel=1e-9)


def small(activation="tanh", inputs=((1.0, 0.0), (0.0, 1.0)), targets=(1.0, 0.0), width=8):
    neuron = regression_neuron(activation, dimension=2)
    executor = make_executor(neuron, {"data": np.array(inputs)}, {"data": np.array(targets)}, backend="array")
    return executor, *draw_weights(neuron, 1, width)


class TestLevenbergMarquardt:
    """A matrix that no one can invert, all samples being one; a gradient that is zero where the loss is not."""

    def test_one_sample_four_times(self):
        run = levenberg_marquardt(*small(inputs=[[0.6, 0.8]] * 4, targets=[0.5] * 4), steps=100)
        assert run.notes["stopped"].startswith("converged")
        assert run.losses[-1] < 1e-20

    def test_dead_neurons_are_stalled_and_not_converged(self):
        executor, _, frozen = small("relu", inputs=[[0.6, 0.8], [0.8, 0.6]], targets=[1.0, -1.0])
        run = levenberg_marquardt(executor, -np.ones((8, 2)), frozen, steps=20)
        assert run.losses[-1] == 1.0
        assert run.notes["stopped"] == "stalled: the gradient is 0 where the loss is not; start elsewhere"


class TestSteps:
    """True as a step, an integer beyond every float, momentum outside [0, 1)."""

    @pytest.mark.parametrize("eta", [True, 10**400, np.float64("nan"), -0.0])
    def test_no_steps(self, eta):
        executor, weights, frozen = small()
        for train in (gradient_descent, adam):
            assert "eta must be" in sentence(lambda train=train: train(executor, weights, frozen, eta=eta, steps=1))

    @pytest.mark.parametrize("beta", [-0.5, 1.0, float("nan"), "0.9", True])
    def test_no_momentum(self, beta):
        assert sentence(lambda: HeavyBall(0.1, beta)).startswith("beta must be ")
        assert sentence(lambda: Adam(0.1, beta_2=beta)).startswith("beta_2 must be ")

    def test_weights_that_are_not_finite(self):
        executor, weights, frozen = small()
        weights[3, 1] = np.nan
        said = sentence(lambda: follow(executor, weights, frozen, HeavyBall(0.1, 0.0), steps=1))
        assert said == "weights hold numbers that are not finite; start from finite ones."


class TestFlatArrays:
    """Values read as a row are broadcast to a matrix; an empty boundary makes a loss of nan."""

    def test_a_row_of_targets(self):
        data = {"inputs": np.eye(2), "targets": [[1.0, 2.0]]}
        said = sentence(lambda: RegressionRun(Instance(data=data, width=4), any_theorem()).samples)
        assert "data 'targets' have the shape (1, 2), but 'inputs' has 2 samples; give one number for each" in said

    def test_a_boundary_without_points(self):
        data = {"interior": [[0.2, 0.5]], "boundary": np.empty((0, 2))}
        said = sentence(lambda: pinn()(Instance(data=data, width=4), any_theorem()))
        assert said.endswith("data 'boundary' hold no sample; add at least one.")

    def test_transposed_points(self):
        data = {"interior": np.ones((2, 5)), "boundary": np.ones((3, 2))}
        said = sentence(lambda: pinn()(Instance(data=data, width=4), any_theorem()))
        assert said.endswith("not interior of shape (2, 5) and boundary of shape (3, 2).")

    @pytest.mark.parametrize("given", [[[1.0], [1.0, 2.0]], [["a", "b"], ["c", "d"]]])
    def test_points_that_are_no_table(self, given):
        neuron = regression_neuron("tanh", dimension=2)
        said = sentence(lambda: make_executor(neuron, {"data": given}, {"data": [1.0, 0.0]}, backend="array"))
        assert said == "points['data'] are not a rectangular array of numbers; give one row a sample."


class TestNumbersAndPairs:
    """Numbers of other libraries; a corner that stands in two blocks makes a kernel singular; a kernel of nan."""

    def test_numbers_as_other_types(self):
        whole = Instance(width=np.array(8), steps=sympy.Integer(3), step=Rational(1, 4), seed=np.uint64(2**63))
        assert (whole.width, whole.steps, whole.step, whole.seed) == (8, 3, 0.25, 2**63)
        assert "step must be a finite number, not 1j" in sentence(lambda: Instance(step=1j))

    def test_weights_in_any_layout_and_precision(self):
        executor, weights, frozen = small()
        wanted = gradient_descent(executor, weights, frozen, eta=0.1, steps=2).residuals
        for other in (np.asfortranarray(weights), np.repeat(weights, 2, axis=0)[::2]):
            np.testing.assert_array_equal(gradient_descent(executor, other, frozen, eta=0.1, steps=2).residuals, wanted)
        assert "weights must have shape (m, 2) with m >= 1, not (2, 8)" in sentence(
            lambda: gradient_descent(executor, weights.T, frozen, eta=0.1, steps=2)
        )

    def test_a_corner_of_two_blocks(self):
        same, parts = identity((T, X)), ("inner", "inner_bias")
        neuron = network_neuron("tanh", {"initial": same, "boundary": same}, trainable=parts, inner_bias=True)
        points = {"initial": [[0.0, 0.5], [0.0, 0.0]], "boundary": [[0.0, 0.0], [0.5, 0.0]]}
        gram = limit_gram(neuron).matrix(points)
        said = singular_to_rounding(gram, {"initial": 2, "boundary": 2}, np.linalg.eigvalsh(gram)[0])
        assert "blocks 'boundary' and 'initial': row 0 is to rounding the same as row 1: remove one of the two." in said
        neuron = network_neuron("tanh", {"initial": same, "boundary": same}, inner_bias=True)
        still = singular_to_rounding(limit_gram(neuron).matrix(points), {"initial": 2, "boundary": 2}, 0.0)
        assert "no trained weight moves the residual of row 1 of 'initial'; row 0 of 'boundary'; remove it." in still

    def test_a_hundred_points_on_a_short_line(self):
        """No two of them are alike; all together are singular, and the sentence blames no pair."""
        x = np.linspace(0, 1e-3, 100)
        points = np.column_stack([np.cos(x), np.sin(x)])
        said = sentence(lambda: least_eigenvalue(limit_gram_matrix(points, activation="tanh")))
        assert "no two samples alone make it so; give fewer, or such that lie further apart." in said


HEAD = """import sympy
from ntkverify import Instance, Source, Theorem, always
from ntkverify.problems.algebra import AlgebraRun
"""
MAKING = 'theorem = Theorem("Small", source=Source(), statement="values are at most 1")\n'
REST = """
theorem.instances("some", run=AlgebraRun, quick=3)(lambda: Instance(data={"values": [0.5, 0.25]}))
theorem.conclusion("values are at most the limit", of="values", holds=always, bound=LIMIT)
theorem.control("values exceed it", of="values", holds=always, bound=-LIMIT)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, loaded in list(sys.modules.items()):
        if str(getattr(loaded, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class TestTwoTheoremsInAFile:
    """The later definition of a name replaces the earlier in silence: by a chained assignment, by a context."""

    @pytest.mark.parametrize(
        "second",
        [
            'other = again = Theorem("Two", source=Source(), statement="S")\n',
            'with open(__file__):\n    theorem = Theorem("Two", source=Source(), statement="S")\n',
            'class Maker:\n    make = staticmethod(lambda: Theorem("Two", Source(), "S"))\nsecond = Maker.make()\n',
            'kept = {"two": Theorem("Two", source=Source(), statement="S")}\n',
        ],
    )
    def test_is_refused(self, folder, second):
        path = written(folder / "mine.py", HEAD + "LIMIT = 1\n" + MAKING + second + REST)
        said = sentence(lambda: load_theorem(path))
        assert said.startswith("mine.py")
        assert "give each a file of its own" in said

    def test_a_theorem_behind_a_name_that_is_deleted(self, folder):
        path = written(folder / "mine.py", HEAD + "LIMIT = 1\n" + MAKING + REST + "del theorem\n")
        assert "mine.py" in sentence(lambda: load_theorem(path))


class TestImports:
    """Folders with blanks and dots in their names; helpers that import each other; one name in two folders."""

    def test_a_folder_that_is_no_identifier(self, folder):
        beside = written(folder / "my rates-2.0" / "limits.py", "import sympy\nLIMIT = sympy.Integer(1)\n").parent
        path = written(beside / "bound-1.py", HEAD + "from limits import LIMIT\n" + MAKING + REST)
        assert load_theorem(path).id.endswith("my rates-2.0/bound-1")

    def test_helpers_that_import_each_other(self, folder):
        written(folder / "rates" / "one.py", "import sympy\nBASE = sympy.Integer(1)\nimport two\n")
        written(folder / "rates" / "two.py", "import one\nLIMIT = one.BASE\n")
        path = written(folder / "rates" / "bound.py", HEAD + "from two import LIMIT\n" + MAKING + REST)
        assert int(load_theorem(path).claims["values are at most the limit"].bound) == 1

    def test_one_name_below_one_name(self, folder):
        paths = [folder / top / "rates" / "rates.py" for top in ("a", "b")]
        for path in paths:
            written(path, HEAD + "LIMIT = 1\n" + MAKING + REST)
        assert len(set(ids_of(paths).values())) == 2
        assert [load_theorem(p, called=name).id for p, name in ids_of(paths).items()] == list(ids_of(paths).values())


def shell(line, **environment):
    """A line of a shell; its status, output and error stream."""
    ours = f'ntkverify() {{ {sys.executable} -m ntkverify "$@"; }}; '
    kept = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {ours}{line}"], capture_output=True, check=False, env=kept)
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


class TestTerminals:
    """A reader that takes one line and leaves; a locale without Greek."""

    def test_one_line_and_no_more(self, folder):
        written(folder / "theorems" / "mine.py", HEAD + "LIMIT = 1\n" + MAKING + REST)
        status, out, err = shell("ntkverify show theorems/mine.py | head -n 1", PYTHONUNBUFFERED="1")
        assert (out.count("\n"), err) == (1, "")
        assert status != 1  # the status of a violation

    def test_a_locale_of_ascii(self, folder):
        text = HEAD + "LIMIT = 1\n" + MAKING.replace("Small", "\u03bb\u2080") + REST
        written(folder / "theorems" / "mine.py", text)
        status, out, err = shell("ntkverify list", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert (status, err) == (0, "")
        assert "\\u03bb\\u2080" in out


class TestRejectingFamilies:
    """One draw in fifty survives a filter; a function with `yield` in place of `return`."""

    def check(self, build):
        theorem = any_theorem()
        theorem.instances("any", run=AlgebraRun, quick=20)(build)
        theorem.conclusion("x is at most 1", holds=always, bound=1, of="x")
        theorem.control("x is below 0", holds=always, bound=-1, of="x")
        return Check(theorem).verdict(theorem.claims["x is at most 1"])

    def test_a_filter_that_passes_one_in_fifty(self):
        numbers = st.integers(0, 10**6).filter(lambda k: k % 50 == 7)
        verdict = self.check(lambda draw: Instance(data={"x": [draw(numbers) * 1e-7]}))
        assert verdict.status == "holds"
        assert verdict.evidence.startswith("within the bound on 20 instances")

    def test_a_generator(self):
        def build(draw):
            yield Instance(data={"x": [draw(st.integers(0, 1))]})

        said = sentence(lambda: self.check(build))
        line = build.__code__.co_firstlineno
        assert said.startswith(f"{Path(__file__).name}:{line}: instances 'any': ")
        assert "the function returns generator and no Instance; end it with `return Instance(...)`." in said


def test_a_wave_whose_phase_depends_on_the_sample():
    """cos(x) u with random features: the coefficient is a number a sample, whatever the activation."""
    points = np.array([[0.0, 0.5, 0.5]])
    neuron, _ = features_of(cos(X) * U, points)
    plain, _ = features_of(U, points)
    wanted = np.cos(0.5) ** 2 * limit_gram(plain).matrix(points)
    np.testing.assert_allclose(limit_gram(neuron).matrix(points), wanted, rtol=1e-13)
