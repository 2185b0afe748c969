"""Laws of weights on the neuron: defaults, choices, groups, and what the limit Gram matrix makes of them."""

import dataclasses
import functools
import pickle

import numpy as np
import pytest
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.symbolic.limit import splitting
from ntkverify.symbolic.limit.limits import limit_gram, operator_limit_gram
from ntkverify.symbolic.network import laws
from ntkverify.symbolic.network import operators as ops
from ntkverify.symbolic.network.laws import FairSign, FrozenMapping, Normal, Uniform
from ntkverify.symbolic.network.neuron import (
    Block,
    Neuron,
    network_neuron,
    pinn_neuron,
    random_features_neuron,
    regression_neuron,
)
from ntkverify.symbolic.network.operators import coordinates, identity
from ntkverify.symbolic.network.product import operator_neuron

T, X = coordinates("t x")
POINTS = np.array([[0.3, 0.5], [-0.8, 0.4], [1.25, -0.5]])
EVERYTHING = {"trainable": ("inner", "inner_bias", "outer"), "inner_bias": True}


def described(made):
    return {str(w): str(law) for w, law in made.laws.items()}


def symbol(name):
    return sympy.Symbol(name, real=True)


class TestLaw:
    @pytest.mark.parametrize(
        ("law", "density", "low", "high"),
        [
            (
                Normal("3/2"),
                sympy.exp(-2 * X**2 / 9) / sympy.sqrt(2 * sympy.pi) / sympy.Rational(3, 2),
                -sympy.oo,
                sympy.oo,
            ),
            (Uniform("1/2"), sympy.S.One, -sympy.Rational(1, 2), sympy.Rational(1, 2)),
        ],
        ids=str,
    )
    def test_moments_are_integrals(self, law, density, low, high):
        for n in range(7):
            assert sympy.simplify(sympy.integrate(X**n * density, (X, low, high)) - law.moment(n)) == 0

    def test_moments_of_a_sign(self):
        assert [FairSign().moment(n) for n in range(4)] == [1, 0, 1, 0]

    def test_sizes_are_exact_positive_numbers(self):
        assert Normal(0.1).scale == sympy.Rational(1, 10)
        for scale in (0, -1, float("inf"), float("nan"), "wide", sympy.Symbol("R")):
            with pytest.raises(NtkVerifyError, match="scale of a normal law must be a positive finite number, not"):
                Normal(scale)

    def test_the_old_path_of_import_works(self):
        assert splitting.Uniform is laws.Uniform
        assert splitting.Law is laws.Law


class TestBuilders:
    def test_outer_weights_are_signs_where_they_are_frozen(self):
        assert described(regression_neuron("relu", dimension=1)) == {"w_0": "standard normal", "a": "fair sign"}
        every = regression_neuron("relu", dimension=1, **EVERYTHING, outer_bias=True)
        assert described(every) == dict.fromkeys(["w_0", "b", "a", "c"], "standard normal")
        pinn = pinn_neuron("relu3", ops.heat(T, [X]))
        assert described(pinn) == {**dict.fromkeys(["w_0", "w_1", "b"], "standard normal"), "a": "fair sign"}
        # a frozen weight of an activation that is no function: still what a builder says, and no sign
        features = random_features_neuron("identity", {"u": identity((X,))})
        assert described(features) == dict.fromkeys(["a", "w_0"], "standard normal")
        operator = operator_neuron("relu", "relu", {"u": identity((X,))}, sensors=1, branch_width=2)
        normal = dict.fromkeys(["w_0", "v_0_0", "v_1_0"], "standard normal")
        assert described(operator) == {**normal, "s_0": "fair sign", "s_1": "fair sign"}

    def test_other_laws_are_chosen_by_part_or_by_weight(self):
        chosen = {"inner": Uniform(2), "outer": Normal(3), symbol("w_1"): Uniform(1)}
        made = regression_neuron("relu", dimension=2, laws=chosen)
        assert list(made.laws.values()) == [Uniform(2), Uniform(1), Normal(3)]
        chosen = {"branch": Normal(2), "signs": Normal(), "inner_bias": Uniform(1)}
        made = operator_neuron("relu", "relu", {"u": identity((X,))}, sensors=1, inner_bias=True, laws=chosen)
        assert [made.laws[symbol(n)] for n in ("w_0", "b", "v_0_0", "s_0")] == [
            Normal(),
            Uniform(1),
            Normal(2),
            Normal(),
        ]

    def test_what_is_no_law_or_no_weight_is_named(self):
        with pytest.raises(NtkVerifyError, match="given for inner_bias, but the weights of the neuron are w_0, a"):
            regression_neuron("relu", dimension=1, laws={"inner_bias": Normal()})
        with pytest.raises(NtkVerifyError, match=r"one of Normal\(scale\), .*, not 2 for w_0"):
            regression_neuron("relu", dimension=1, laws={"inner": 2})
        with pytest.raises(TypeError, match="unexpected keyword argument 'law'"):
            pinn_neuron("tanh", ops.heat(T, [X]), law={})
        with pytest.raises(NtkVerifyError, match="scale of the output must be a positive finite number, not -1"):
            regression_neuron("relu", dimension=1, output_scale=-1)

    def test_operators_have_a_trunk_and_a_branch(self):
        assert regression_neuron("relu", dimension=3).groups == {"weights": (0, 1, 2)}
        operator = operator_neuron("relu", "relu", {"u": identity((X,))}, sensors=2, branch_width=2, inner_bias=True)
        assert operator.groups == {"trunk": (0, 1), "branch": (2, 3, 4, 5)}
        assert [str(operator.weights[i]) for i in operator.groups["trunk"]] == ["w_0", "b"]

    def test_every_coupled_pair_cancels(self):
        assert regression_neuron("relu", dimension=1).coupled == ()
        for made, names in (
            (regression_neuron("gelu", dimension=1, coupled=True, **EVERYTHING, outer_bias=True), {"a", "c"}),
            (
                network_neuron("sin", ops.navier_stokes((T, X), reynolds=1), outputs=3, coupled=True),
                {"a_0", "a_1", "a_2"},
            ),
            (
                operator_neuron("relu", "tanh", {"u": identity((X,))}, sensors=1, branch_width=2, coupled=True),
                {"s_0", "s_1"},
            ),
        ):
            assert {str(w) for w in made.coupled} == names
            opposite = {w: -w for w in made.coupled}
            for feature in (f for b in made.blocks for f in b.features):
                assert sympy.expand(feature.xreplace(opposite) + feature) == 0


class TestByHand:
    W, A, B = (symbol(name) for name in "wab")
    SUM = symbol("Phi_1")

    def neuron(self, feature=None, **options):
        feature = self.A * sympy.tanh(self.W * X + self.B) if feature is None else feature
        return Neuron(
            weights=(self.W,),
            frozen=(self.A, self.B),
            coordinates=(X,),
            blocks=(Block("data", (feature,), (self.SUM,), self.SUM),),
            **options,
        )

    def test_factors_are_signs_unless_it_is_said_otherwise(self):
        assert self.neuron().laws == {self.W: Normal(), self.A: FairSign(), self.B: Normal()}
        chosen = self.neuron(laws={self.A: Uniform(1)})
        assert chosen.laws == {self.W: Normal(), self.A: Uniform(1), self.B: Normal()}
        assert self.neuron(self.A**2 * self.W * X).laws[self.A] == Normal()

    def test_neurons_are_hashed_and_stored_with_their_laws(self):
        plain, chosen = self.neuron(), self.neuron(laws={self.A: Uniform(1)})
        assert len({plain, self.neuron(), chosen}) == 2
        assert pickle.loads(pickle.dumps(chosen)) == chosen
        assert dataclasses.replace(chosen, laws=plain.laws) == plain
        assert hash(FrozenMapping({1: 2, 3: 4})) == hash(FrozenMapping({3: 4, 1: 2}))
        with pytest.raises(TypeError):
            plain.laws[self.W] = Uniform(1)

    def test_groups_hold_each_trained_weight_once(self):
        assert self.neuron(groups={"own": [0]}).groups == {"own": (0,)}
        for groups in ({"a": (0,), "b": (0,)}, {"a": (1,)}, {"a": ()}):
            with pytest.raises(NtkVerifyError, match="hold each of the 1 trained weights once, but they are"):
                self.neuron(groups=groups)

    def test_pairs_that_would_not_cancel_are_refused(self):
        assert self.neuron(coupled=(self.A,)).coupled == (self.A,)
        with pytest.raises(NtkVerifyError, match="opposite signs of b cancels only if the features are odd"):
            self.neuron(coupled=(self.B,))
        with pytest.raises(NtkVerifyError, match="x changes sign within a pair, but the weights of the neuron are"):
            self.neuron(coupled=(X,))


def gram_of(activation="relu", **options):
    return limit_gram(network_neuron(activation, {"u": identity((T, X))}, **EVERYTHING, **options))


class TestLimit:
    def test_scales_of_inner_weights_scale_the_points(self):
        """tanh(2 w.x) is tanh(w.(2 x)); a gradient in w has the points as a factor, one in a has not."""
        operators = {"u": identity((T, X))}
        for trained, factor in (("inner",), 4), (("outer",), 1):
            options = {"trainable": trained}
            plain = limit_gram(network_neuron("tanh", operators, **options)).matrix(2 * POINTS)
            longer = limit_gram(network_neuron("tanh", operators, **options, laws={"inner": Normal(2)})).matrix(POINTS)
            np.testing.assert_allclose(factor * longer, plain, rtol=1e-12)

    def test_scales_of_outer_weights_multiply_the_inner_part(self):
        operators = {"u": identity((T, X))}
        plain, smaller = (
            limit_gram(network_neuron("relu", operators, laws={"outer": law})).matrix(POINTS)
            for law in (FairSign(), Normal("1/3"))
        )
        np.testing.assert_allclose(smaller, plain / 9, rtol=1e-14)
        uniform = limit_gram(network_neuron("relu", operators, laws={"outer": Uniform(2)})).matrix(POINTS)
        np.testing.assert_allclose(uniform, 4 * plain / 3, rtol=1e-14)

    def test_scales_that_differ_are_those_of_each_weight(self):
        """An inner bias of deviation 3 is a third coordinate that is 3."""
        operators = {"u": identity((T, X))}
        with_bias = network_neuron(
            "erf", operators, trainable=("outer",), inner_bias=True, laws={"inner_bias": Normal(3)}
        )
        third = network_neuron("erf", {"u": identity(coordinates("t x y"))}, trainable=("outer",))
        points = np.hstack([POINTS, np.full((3, 1), 3.0)])
        np.testing.assert_allclose(limit_gram(with_bias).matrix(POINTS), limit_gram(third).matrix(points), rtol=1e-13)

    def test_every_route_knows_the_scale(self):
        pytest.importorskip("flint")
        gram = gram_of(laws={"inner": Normal("5/2"), "inner_bias": Normal("1/2")})
        exact = gram.matrix_balls(POINTS, 128)
        floats = gram.matrix(POINTS)
        for i in range(3):
            assert float(gram.trace_expression().subs(dict(zip((T, X), POINTS[i], strict=True)))) == pytest.approx(
                floats[i, i]
            )
            for j in range(3):
                assert float(exact[i, j]) == pytest.approx(floats[i, j], rel=1e-13)
        irrational = limit_gram(
            random_features_neuron("relu", {"u": identity((T, X))}, laws={"inner": Normal(sympy.sqrt(2))})
        )
        plain = limit_gram(random_features_neuron("relu", {"u": identity((T, X))}))
        np.testing.assert_allclose(irrational.matrix(POINTS), 2 * plain.matrix(POINTS), rtol=1e-14)
        assert float(irrational.matrix_balls(POINTS, 128)[0, 1]) == pytest.approx(
            2 * plain.matrix(POINTS)[0, 1], rel=1e-13
        )

    def test_the_neurons_laws_are_what_an_argument_says(self):
        inner = dict.fromkeys(map(symbol, ("w_0", "w_1")), Uniform(2))
        operators = {"u": identity((T, X))}
        own = limit_gram(network_neuron("sin", operators, laws={"inner": Uniform(2)})).matrix(POINTS)
        given = limit_gram(network_neuron("sin", operators), laws=inner).matrix(POINTS)
        back = limit_gram(
            network_neuron("sin", operators, laws={"inner": Uniform(2)}), laws=dict.fromkeys(inner, "normal")
        )
        np.testing.assert_array_equal(own, given)
        np.testing.assert_array_equal(back.matrix(POINTS), limit_gram(network_neuron("sin", operators)).matrix(POINTS))

    def test_coupled_pairs_have_the_limit_of_independent_neurons(self):
        pairs, alone = gram_of(coupled=True), gram_of()
        np.testing.assert_array_equal(pairs.matrix(POINTS), alone.matrix(POINTS))
        assert pairs.trace_expression() == alone.trace_expression()

    def test_but_their_sums_are_zero_and_do_not_vary(self):
        pairs = gram_of(coupled=True)
        assert not pairs.covariance(POINTS).any()
        assert pairs.trace_expression(covariance=True) == 0
        assert gram_of().covariance(POINTS).all()

    def test_pairs_are_of_whole_operators(self):
        plain, pairs = (regression_neuron("relu", dimension=2, coupled=coupled) for coupled in (False, True))
        for factors, role in ((pairs, plain), "branch"), ((plain, pairs), "trunk"):
            with pytest.raises(NtkVerifyError, match=f"the {role} of an operator network has no pairs of its own"):
                operator_limit_gram(*factors)

    @pytest.mark.parametrize("scale", [2, "1/3", sympy.sqrt(2)])
    def test_the_scale_of_the_output_enters_squared(self, scale):
        alpha = sympy.sympify(scale)
        regression = functools.partial(regression_neuron, "relu", dimension=2, outer_bias=True)
        features = functools.partial(random_features_neuron, "relu3", {"u": ops.laplacian((T, X))})
        operator = functools.partial(operator_neuron, "relu", "relu", {"u": identity((X,))}, sensors=1)
        for build in (regression, features, operator):
            (plain,), (scaled,) = build().blocks[0].features, build(output_scale=scale).blocks[0].features
            assert sympy.expand(scaled - alpha * plain) == 0
        for build in (regression, features):
            plain, scaled = (limit_gram(made).matrix(POINTS) for made in (build(), build(output_scale=scale)))
            np.testing.assert_allclose(scaled, float(alpha**2) * plain, rtol=1e-14)

    def test_nonlinear_residuals_see_the_scaled_output(self):
        """Each slot of u u_x has the factor, so that the residual has its square."""
        made = network_neuron("sin", {"r": ops.self_advection(X)}, output_scale=3)
        plain = network_neuron("sin", {"r": ops.self_advection(X)})
        assert made.blocks[0].features == tuple(3 * f for f in plain.blocks[0].features)
        assert made.blocks[0].residual == plain.blocks[0].residual

    def test_a_sign_inside_an_activation_is_refused(self):
        with pytest.raises(NtkVerifyError, match="w_0 stands inside an activation and must be normal"):
            limit_gram(regression_neuron("relu", dimension=1, laws={"inner": FairSign()}))
