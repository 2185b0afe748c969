"""Limit Gram matrices against independent formulas, quadrature and sampling."""

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import example, given
from limit_references import COUNT, INSTANCES, TINY, angles, check_by_sampling, norms, points_at

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.limit.kernels import primed
from ntkverify.symbolic.limit.limits import limit_gram, operator_limit_gram
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.neuron import network_neuron, pinn_neuron, random_features_neuron, regression_neuron
from ntkverify.symbolic.network.operators import coordinates, identity
from ntkverify.symbolic.network.product import operator_neuron

EPS = np.finfo(float).eps


class TestReluRegression:
    @pytest.fixture
    def gram(self):
        return limit_gram(regression_neuron("relu", dimension=3))

    def test_the_kernel_is_the_arc_cosine_formula(self, gram):
        q, theta = sympy.Symbol("q", real=True), sympy.Symbol("theta", nonnegative=True)
        assert sympy.simplify(gram.kernel - q * (sympy.pi - theta) / (2 * sympy.pi)) == 0
        assert r"\theta" in gram.latex()

    @pytest.mark.parametrize("angle", [1e-8, 1e-4, 0.3, 1.0, 2.0, 3.0, np.pi - 1e-4, np.pi - 1e-8])
    def test_array_agrees_with_an_exact_angle(self, gram, angle):
        points = np.array([[2.0, 0.0, 0.0], [3 * np.cos(angle), 3 * np.sin(angle), 0.0]])
        with mpmath.workdps(50):
            x, y = ([mpmath.mpf(c) for c in p] for p in points)
            dot = mpmath.fdot(x, y)
            theta = mpmath.atan2(abs(x[0] * y[1] - x[1] * y[0]), dot)
            expected = dot * (mpmath.pi - theta) / (2 * mpmath.pi)
        assert gram.matrix(points)[0, 1] == pytest.approx(float(expected), rel=20 * EPS)

    def test_identical_opposite_and_zero_points(self, gram):
        points = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [-1.0, -2.0, -3.0], [0.0, 0.0, 0.0]])
        expected = np.zeros((4, 4))
        expected[:2, :2] = expected[2, 2] = 7.0
        np.testing.assert_allclose(gram.matrix(points), expected, rtol=20 * EPS)
        assert gram.trace(points) == pytest.approx(21.0, rel=20 * EPS)

    def test_balls_contain_the_exact_values(self, gram):
        flint = pytest.importorskip("flint")
        points = [["1/3", "2", "0"], [-1, -6, "1/1000000000"], [0, 0, 0]]
        balls = gram.matrix_balls(points, 128)
        exact = gram.matrix_mpmath(points, 60)
        for i in range(3):
            for j in range(3):
                with mpmath.workdps(60):
                    assert balls[i, j].overlaps(flint.arb(mpmath.nstr(exact[i][j], 55)))
                assert balls[i, j].rad() < flint.arb("1e-30")

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            (np.array([[1 + 1j, 2, 3]]), "rows of real numbers"),
            ([[1, 2, 3], [4]], "rows of real numbers"),
            ([["a", "b", "c"]], "rows of real numbers"),
            (np.full((2, 3), 1e200), "overflows float64"),
        ],
    )
    def test_points_that_are_no_points(self, gram, points, message):
        with np.errstate(all="ignore"), pytest.raises(NtkVerifyError, match=message):
            gram.matrix(points)
        with pytest.raises(NtkVerifyError, match="rows of 3 coordinates, but 1 is no row"):
            gram.matrix_balls([1, 2, 3])

    def test_bad_points_are_refused(self, gram):
        with pytest.raises(NtkVerifyError, match=r"shape \(n, 3\).*shape \(2, 2\)"):
            gram.matrix(np.ones((2, 2)))
        with pytest.raises(NtkVerifyError, match=r"finite.*row 1"):
            gram.matrix(np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]]))


T, X = coordinates("t x")
MODULES = [
    {"PositivePower": lambda z, k: np.where(z >= 0, z**k, 0.0), "Softplus": lambda z: np.logaddexp(0.0, z)},
    "scipy",
]


def heat_gram(activation, trainable=("inner", "inner_bias")):
    return limit_gram(pinn_neuron(activation, ops.heat(T, [X]), trainable=trainable))


def random_points(n, seed=0):
    return np.random.default_rng(seed).random((n, 2))


PAIR = np.array([[0.3, 0.5], [-0.8, 0.4]])


class TestAgainstSampling:
    """A million neurons each. An entry is a false alarm with probability 6e-5, all 300 together with 2 per cent."""

    @pytest.mark.parametrize(
        "activation", ["relu3", "erf", "sin", "cos", "tanh", "sigmoid", "softplus", "swish", "gelu"]
    )
    def test_physics_informed_networks(self, activation):
        gram = heat_gram(activation, ("inner", "inner_bias", "outer"))
        points = {"interior": random_points(2), "boundary": random_points(1, 1)}
        assert check_by_sampling(gram, points, seed=7) == 6

    @pytest.mark.parametrize(
        "activation",
        [
            *("relu", "relu2", "relu4", "leaky_relu", "erf", "sin", "cos", "gelu", "tanh", "identity"),
            Activation("cubic", Z**3 - Z + 2),
            Activation("shifted_bump", sympy.exp(1 - Z**2)),
            Activation("shifted", sympy.tanh(Z - 1)),
            Activation("root", sympy.sqrt(1 + Z**2)),
            Activation("written_out", sympy.log(1 + sympy.exp(Z))),
            Activation("wave_packet", Z**2 * sympy.sin(2 * Z) * sympy.exp(-(Z**2) / 2)),
        ],
    )
    def test_regression_with_all_weights_trained(self, activation):
        neuron = network_neuron(
            activation,
            {"data": identity((T, X))},
            trainable=("inner", "inner_bias", "outer"),
            inner_bias=True,
        )
        assert check_by_sampling(limit_gram(neuron), {"data": PAIR}, seed=8) == 3

    @pytest.mark.parametrize("activation", ["sin", "relu3", "tanh"])
    def test_random_features(self, activation):
        neuron = random_features_neuron(
            activation, {"interior": ops.laplacian((T, X)), "boundary": identity((T, X))}, inner_bias=True
        )
        assert check_by_sampling(limit_gram(neuron), {"interior": PAIR, "boundary": PAIR}, seed=9) == 10

    @pytest.mark.parametrize(("activation", "accuracy"), [("relu", 2), ("relu3", 4), ("sin", 4), ("tanh", 2)])
    def test_finite_difference_residuals(self, activation, accuracy):
        h = sympy.Rational(1, 4)
        blocks = {"interior": ops.heat(T, [X]), "boundary": identity((T, X))}
        neuron = network_neuron(activation, blocks, spacings={T: h, X: h}, accuracy=accuracy)
        assert check_by_sampling(limit_gram(neuron), {"interior": PAIR, "boundary": PAIR}, seed=10) == 10

    @pytest.mark.parametrize("activation", ["sin", "tanh"])
    def test_features_of_nonlinear_residuals(self, activation):
        neuron = network_neuron(
            activation,
            {"r": ops.burgers(T, X, viscosity=sympy.Rational(1, 10))},
            trainable=("inner", "inner_bias", "outer"),
            inner_bias=True,
        )
        assert check_by_sampling(limit_gram(neuron), {"r": PAIR[:1]}, seed=11) == 10

    @pytest.mark.parametrize(
        ("activation", "operators"),
        [
            ("relu", {"data": identity((T, X))}),
            ("relu3", {"interior": ops.heat(T, [X]), "boundary": identity((T, X))}),
            ("tanh", {"interior": ops.heat(T, [X]), "boundary": identity((T, X))}),
        ],
        ids=["relu", "physics-informed relu3", "physics-informed tanh"],
    )
    def test_operator_networks(self, activation, operators):
        """The Kronecker products against neurons of branch times trunk, whose branch is two neurons wide."""
        neuron = operator_neuron("relu", activation, operators, sensors=2, branch_width=2, inner_bias=True)
        trunk = network_neuron(activation, operators, trainable=("inner", "inner_bias"), inner_bias=True)
        branch = regression_neuron("relu", dimension=2)
        u, queries = random_points(2), {name: random_points(1, 1 + k) for k, name in enumerate(operators)}
        limit = operator_limit_gram(branch, trunk).matrix(u, queries)
        assert sampled_entries(neuron, u, queries, limit, seed=12) == len(limit) * (len(limit) + 1) // 2


def sampled_entries(neuron, inputs, queries, limit, *, seed, m=1_000_000):
    """Compare the limit of an operator network; rows are (input, query), and queries come block by block."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((len(neuron.weights), m))
    signs = np.sign(rng.standard_normal((len(neuron.frozen), m)))
    rows = []
    for a in inputs:
        for block in neuron.blocks:
            arguments = (*neuron.weights, *neuron.frozen, *neuron.coordinates)
            function = sympy.lambdify(arguments, neuron.gradients[block.name][0], MODULES, cse=True)
            for b in queries[block.name]:
                rows.append([np.broadcast_to(g, (m,)) for g in function(*weights, *signs, *a, *b)])
    for i, u in enumerate(rows):
        for j, v in enumerate(rows[: i + 1]):
            products = sum(g * h for g, h in zip(u, v, strict=True))
            assert abs(products.mean() - limit[i, j]) <= 4 * products.std() / np.sqrt(m)
    return len(rows) * (len(rows) + 1) // 2


class TestPhysicsInformed:
    def test_moments_are_the_operator_applied_to_both_arguments_of_the_kernel(self):
        gram = heat_gram("relu3")
        (t2, x2) = primed((T, X))
        plain = limit_gram(
            network_neuron("relu3", {"u": identity((T, X))}, trainable=("inner", "inner_bias"), inner_bias=True)
        )
        kernel = plain.kernel_expression("u", "u")
        compiled = sympy.lambdify((T, X, t2, x2), kernel, "mpmath", cse=True)
        heat = {(1, 0): 1, (0, 2): -1}  # orders in (t, x) and their coefficients
        value_itself = {(0, 0): 1}
        points = {"interior": random_points(4), "boundary": random_points(3, 1)}
        matrix, exact = gram.matrix(points), gram.matrix_mpmath(points, 50)
        stacked = [(heat, p) for p in points["interior"]] + [(value_itself, p) for p in points["boundary"]]
        with mpmath.workdps(70):
            for i, (left, p) in enumerate(stacked):
                for j, (right, q) in enumerate(stacked[:i]):
                    at = tuple(map(mpmath.mpf, (*p, *q)))
                    parts = [
                        c * d * (mpmath.diff(compiled, at, (*m, *n)) if any((*m, *n)) else compiled(*at))
                        for m, c in left.items()
                        for n, d in right.items()
                    ]
                    scale = mpmath.sqrt(exact[i][i] * exact[j][j])
                    # divided differences at raised precision keep well over 40 of the 70 digits
                    assert abs(exact[i][j] - mpmath.fsum(parts)) <= mpmath.mpf(10) ** -40 * scale
                    assert abs(matrix[i, j] - float(mpmath.fsum(parts))) <= 1e-12 * float(scale)

    @pytest.mark.parametrize("angle", [1e-8, 1e-4, 0.5, 1.5, 3.0, np.pi - 1e-4, np.pi - 1e-8])
    def test_a_network_without_biases_at_adversarial_angles(self, angle):
        """The heat operator on ReLU^3 without biases, float64 against the 50-digit closed form."""
        neuron = pinn_neuron("relu3", ops.heat(T, [X]), trainable=("inner",), inner_bias=False)
        gram = limit_gram(neuron)
        points = np.array([[0.8, 0.0], [0.6 * np.cos(angle), 0.6 * np.sin(angle)]])
        named = {"interior": points, "boundary": points}
        matrix, exact = gram.matrix(named), gram.matrix_mpmath(named, 50)
        for i in range(4):
            for j in range(4):
                scale = float(mpmath.sqrt(exact[i][i] * exact[j][j]))
                assert abs(matrix[i, j] - float(exact[i][j])) <= 1e-12 * scale
        # the heat kernel near opposite points by polar coordinates, with the neuron's gradient written out by hand
        with mpmath.workdps(40):
            p, q = ([mpmath.mpf(c) for c in row] for row in points)

            def psi(x, w):
                z = w[0] * x[0] + w[1] * x[1]
                if z < 0:
                    return (0, 0)
                common = 6 * z * w[0] - 6 * w[1] ** 2
                return (common * x[0] + 3 * z * z, common * x[1] - 12 * z * w[1])

            def angular(s):
                w = (mpmath.cos(s), mpmath.sin(s))
                return mpmath.fdot(psi(p, w), psi(q, w))

            start, stop = mpmath.atan2(q[1], q[0]) - mpmath.pi / 2, mpmath.pi / 2
            # E r^4 = 8 for a standard normal vector of the plane
            by_hand = 8 * mpmath.quad(angular, [start, stop], method="gauss-legendre") / (2 * mpmath.pi)
            assert abs(by_hand - exact[0][1]) <= mpmath.mpf(10) ** -30 * mpmath.sqrt(exact[0][0] * exact[1][1])

    @pytest.mark.heavy
    @pytest.mark.parametrize("activation", ["relu3", "relu4", "erf", "sin", "cos", "gelu"])
    def test_float64_agrees_with_the_closed_form_in_50_digits(self, activation):
        """Two hundred pairs of points each, with the heat operator and the value itself, without biases."""
        gram = limit_gram(pinn_neuron(activation, ops.heat(T, [X]), trainable=("inner",), inner_bias=False))
        counted = []

        @INSTANCES
        @example(1.0, 1.0, TINY)
        @example(1.0, 1.0, np.pi - TINY)
        @given(norms, norms, angles)
        def run(rho, rho2, angle):
            left, right = points_at(rho, rho2, angle)
            named = {"interior": [left], "boundary": [right]}
            matrix, exact = gram.matrix(named), gram.matrix_mpmath(named, 50)
            scale = mpmath.sqrt(exact[0][0] * exact[1][1])
            assert abs(matrix[0, 1] - exact[0][1]) <= 1e-12 * scale
            counted.append(abs(matrix[0, 1] - exact[0][1]) <= 1e-12 * abs(exact[0][1]))

        run()
        assert len(counted) >= COUNT
        # the others are zeros of the kernel
        assert sum(counted) / len(counted) >= 0.95

    @pytest.mark.parametrize("dimension", [1, 2, 3])
    def test_exact_moments_of_the_cubed_relu(self, dimension):
        d = dimension
        space = coordinates(" ".join(f"x_{i}" for i in range(1, d + 1)))
        gram = limit_gram(pinn_neuron("relu3", ops.heat(T, space), trainable=("inner", "inner_bias")))
        s = sum(x**2 for x in space)
        rho2 = T**2 + s + 1
        psi = (
            36 * rho2 * (rho2 + 2 * T**2 - 2 * T * d + d * (d + 2))
            + 27 * rho2**2
            + 144 * (rho2 * d + 2 * s)
            + 36 * T * (3 * rho2 * T - rho2 * d - 2 * s)
            + 144 * s * (d + 2 - 2 * T)
        ) / 2
        value = (
            27 * rho2**2
            + 108 * rho2 * T**2
            - 108 * T * (rho2 * d + 2 * s)
            + 36 * (rho2 * d * (d + 2) + 4 * (d + 2) * s)
        ) / 2
        half = sympy.Rational(1, 2)
        assert sympy.expand(gram.trace_expression("interior") - psi) == 0
        assert sympy.expand(gram.trace_expression("boundary") - 27 * half * rho2**3) == 0
        assert sympy.expand(gram.trace_expression("interior", covariance=True) - value) == 0
        assert sympy.expand(gram.trace_expression("boundary", covariance=True) - 15 * half * rho2**3) == 0

    @pytest.mark.heavy
    @pytest.mark.parametrize("activation", ["relu3", "erf", "tanh"])
    def test_trace_and_normalisation(self, activation):
        gram = heat_gram(activation)
        points = {"interior": random_points(3), "boundary": random_points(2, 1)}
        matrix = gram.matrix(points)
        assert gram.trace(points) == pytest.approx(np.trace(matrix), rel=1e-12)
        sizes = np.array([3, 3, 3, 2, 2])
        scaled = matrix / np.sqrt(np.multiply.outer(sizes, sizes))
        np.testing.assert_allclose(gram.matrix(points, normalise=True), scaled, rtol=1e-14)
        assert gram.trace(points, normalise=True) == pytest.approx(np.trace(scaled), rel=1e-12)


class TestOtherProblems:
    def test_random_features_have_the_covariance_as_gram_matrix(self):
        neuron = random_features_neuron("sin", {"u": identity((T, X))})
        points = random_points(4)
        q = points @ points.T
        norms = np.diag(q)
        expected = np.exp(-(norms[:, None] + norms) / 2) * np.sinh(q)
        np.testing.assert_allclose(limit_gram(neuron).matrix(points), expected, rtol=1e-13)

    def test_finite_differences_tend_to_the_operator(self):
        exact = limit_gram(network_neuron("erf", {"r": ops.laplacian((T, X))})).matrix(random_points(3))
        errors = []
        for n in (8, 16):
            h = sympy.Rational(1, n)
            neuron = network_neuron("erf", {"r": ops.laplacian((T, X))}, spacings={T: h, X: h})
            errors.append(np.max(np.abs(limit_gram(neuron).matrix(random_points(3)) - exact)))
        # second order: the ratio of errors is 4 up to a relative h^2
        assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)

    def test_finite_differences_of_a_kinked_network(self):
        h = sympy.Rational(1, 4)
        neuron = network_neuron("relu", {"r": ops.derivative((T, X), 0, 1)}, spacings={T: h, X: h})
        plain = limit_gram(network_neuron("relu", {"r": identity((T, X))}))
        p = np.array([[0.3, 0.5]])
        around = np.array([[0.3, 0.75], [0.3, 0.25]])
        difference = np.array([2.0, -2.0])
        expected = difference @ plain.matrix(around) @ difference
        assert limit_gram(neuron).matrix(p)[0, 0] == pytest.approx(expected, rel=1e-13)

    def test_the_trace_of_an_operator_network_at_unit_points(self):
        gram = operator_limit_gram(regression_neuron("relu", dimension=2), regression_neuron("relu", dimension=2))
        u, y = (v / np.linalg.norm(v, axis=1)[:, None] for v in (random_points(2), random_points(2, 1)))
        limit = gram.matrix(u, y)
        assert np.trace(limit) == pytest.approx(2 * 4 / 4)  # N/4 each

    def test_physics_informed_operators(self):
        trunk = pinn_neuron("relu3", ops.heat(T, [X]))
        gram = operator_limit_gram(regression_neuron("relu", dimension=2), trunk)
        u, queries = random_points(2), {"interior": random_points(2), "boundary": random_points(1, 1)}
        h = gram.from_trunk_weights(u, queries, normalise=True)
        branch = limit_gram(regression_neuron("relu", dimension=2))
        expected = np.kron(branch.covariance(u), limit_gram(trunk).matrix(queries, normalise=True))
        np.testing.assert_allclose(h, expected)
        total = gram.matrix(u, queries)
        np.testing.assert_allclose(
            total, gram.from_trunk_weights(u, queries) + gram.from_branch_weights(u, queries), rtol=1e-14
        )
        assert np.linalg.eigvalsh(total)[0] > 0

    def test_nonlinear_residuals_are_linearised_at_a_state(self):
        neuron = network_neuron(
            "sin", {"r": ops.self_advection(X)}, trainable=("inner", "inner_bias", "outer"), inner_bias=True
        )
        gram = limit_gram(neuron)
        points = np.array([[0.2], [0.7]])
        state = np.array([[1.5, -0.3], [0.2, 2.0]])
        k = gram.feature_matrix(points)  # slots u, u_x, each at both points
        lam = np.hstack([np.diag(state[:, 1]), np.diag(state[:, 0])])  # d(u u_x) = u_x du + u du_x
        np.testing.assert_allclose(gram.matrix(points, sums={"r": state}), lam @ k @ lam.T, rtol=1e-13)
        # the sheet's closed form: Theta(x, x) = 1 + x^2 (1 + E)/2 without the two output-bias terms, E = exp(-2 - 2x^2)
        e = np.exp(-2 - 2 * points[:, 0] ** 2)
        np.testing.assert_allclose(np.diag(k)[:2], 1 + points[:, 0] ** 2 * (1 + e) / 2, rtol=1e-14)
        with pytest.raises(NtkVerifyError, match=r"'r' is nonlinear: give sums\['r'\]"):
            gram.matrix(points)
        with pytest.raises(NtkVerifyError, match=r"shape \(2, 2\), not \(2,\)"):
            gram.matrix(points, sums={"r": np.ones(2)})

    def test_an_output_bias_adds_one(self):
        with_bias = network_neuron("erf", {"u": identity((T, X))}, trainable=("inner", "outer_bias"), outer_bias=True)
        without = network_neuron("erf", {"u": identity((T, X))})
        p = random_points(3)
        np.testing.assert_allclose(limit_gram(with_bias).matrix(p), limit_gram(without).matrix(p) + 1, rtol=1e-14)

    def test_coefficients_of_any_kind_are_enclosed(self):
        """Floats in an operator are decimal fractions; a modulus is a modulus; what is unknown is named."""
        pytest.importorskip("flint")
        point = {"interior": [["1/2", "-3/4"]]}
        for diffusivity in (0.1, sympy.Abs(X) + sympy.atan(X), sympy.Max(X, 1)):
            gram = limit_gram(pinn_neuron("relu3", ops.heat(T, [X], diffusivity=diffusivity)))
            value = gram.matrix({"interior": [[0.5, -0.75]]})[0, 0]
            assert abs(float(gram.matrix_balls(point)[0, 0]) - value) <= 1e-13 * value
        with pytest.raises(
            NtkVerifyError, match=r"the equation holds gamma\(x \+ 2\), which is not evaluated everywhere"
        ):
            limit_gram(pinn_neuron("relu3", ops.heat(T, [X], diffusivity=sympy.gamma(2 + X))))

    def test_bad_requests_name_both_sides(self):
        gram = heat_gram("tanh")
        with pytest.raises(NtkVerifyError, match=r"blocks interior, boundary; name the one"):
            gram.matrix(random_points(2))
        with pytest.raises(NtkVerifyError, match=r"blocks interior, boundary, not 'inside'"):
            gram.matrix({"inside": random_points(2)})
        with pytest.raises(NtkVerifyError, match="no closed form"):
            gram.matrix_mpmath({"boundary": [[0, 1]]})
        with pytest.raises(NtkVerifyError, match=r"2 coordinates per point, but a point with 1"):
            heat_gram("relu3").matrix_balls({"boundary": [[0]]})
        with pytest.raises(NtkVerifyError, match=r"finite rational numbers"):
            heat_gram("relu3").matrix_balls({"boundary": [[0, float("nan")]]})
        with pytest.raises(
            NtkVerifyError, match=r"one of Normal\(scale\), Uniform\(radius\), FairSign\(\), not 'cauchy' for b"
        ):
            limit_gram(gram.neuron, laws={gram.neuron.weights[-1]: "cauchy"})


# functions of one linear form that is multiplied out, or comes more than once, in their arguments
OF_ONE_FORM = {
    "tanh(z + z^3)": (sympy.tanh(Z + Z**3), lambda z: (1 + 3 * z**2) * (1 - np.tanh(z + z**3) ** 2)),
    "exp(z - z^2)": (sympy.exp(Z - Z**2), lambda z: (1 - 2 * z) * np.exp(z - z**2)),
    "sin(z^2/2)": (sympy.sin(Z**2 / 2), lambda z: z * np.cos(z**2 / 2)),
    "exp(-z tanh z)": (
        sympy.exp(-Z * sympy.tanh(Z)),
        lambda z: -(np.tanh(z) + z / np.cosh(z) ** 2) * np.exp(-z * np.tanh(z)),
    ),
}


@pytest.mark.parametrize("name", OF_ONE_FORM)
@pytest.mark.parametrize("points", [[[0.5], [-1.25]], [[0.5, 0.25], [-0.25, 1.0]]])
def test_a_function_of_one_linear_form_however_it_is_written(name, points):
    expression, slope = OF_ONE_FORM[name]
    points = np.array(points)
    neuron = regression_neuron(Activation(name, expression), dimension=points.shape[1])
    found = limit_gram(neuron).matrix({"data": points})
    # trapezoids converge exponentially for what is analytic and decays
    nodes = np.linspace(-9, 9, 1001)
    weights = np.exp(-(nodes**2) / 2)
    root = np.linalg.cholesky(points @ points.T) if points.shape[1] > 1 else points
    plane = [nodes[:, None], nodes[None, :]] if points.shape[1] > 1 else [nodes]
    arguments = [sum(c * part for c, part in zip(row, plane, strict=True)) for row in root]
    law = weights[:, None] * weights if points.shape[1] > 1 else weights
    slopes = [slope(z) for z in arguments]
    expected = np.array([[(a * b * law).sum() / law.sum() for b in slopes] for a in slopes]) * (points @ points.T)
    np.testing.assert_allclose(found, expected, rtol=1e-7)
