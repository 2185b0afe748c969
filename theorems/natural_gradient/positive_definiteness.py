r"""The limit Gram matrix of a physics-informed network is positive definite when no two samples coincide.

Network     u(x) = m^(-1/2) sum_r a_r sigma(w_r . (x, 1)),  w_r(0) ~ N(0, I), a_r = +-1 fair and frozen
Residuals   ((A u - f)(x_p) / sqrt(n_1), (u - g)(y_j) / sqrt(n_2)), A linear of second order (here the heat operator)
Matrix      H^inf = E[J J^T] over one neuron's weights
Guarantee   lambda_0 = lambda_min(H^inf) > 0  (qualitative; here certified on each draw for ReLU^3 and erf)
Hypotheses  no two samples coincide; sigma = ReLU^3, or smooth: third derivative bounded, derivatives
            Lipschitz, analytic and no polynomial, sigma^(n)(c x)/sigma^(n)(x) -> 0 at one end for n >= 2, c > 1

Lemma 4.4 and Assumption 4.3 of arXiv 2408.00573 (the decay condition's form is reconstructed). Positivity itself is
decided in ball arithmetic: an interval Cholesky factorisation of H^inf - s I proves lambda_0 > s. How lambda_0 vanishes
as two samples merge is observed by halving their distance h, while few others stay apart: linearly in h for ReLU^3, as
it must be where a share of about h of the neurons has the jump of the third derivative between the samples,
quadratically for a smooth activation.
"""

import functools

import numpy as np
from hypothesis import strategies as st
from sympy import Integer, Rational

from ntkverify import Instance, Source, Theorem, always
from ntkverify.glossary import limit_norm, n
from ntkverify.instances import space_time_points
from ntkverify.lemmas.pinn.merging import APART, ONE_PAIR, Merging, MergingRun, least, merging, merging_pair
from ntkverify.lemmas.premises import PINN_POINTS
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.pinn import PinnRun, pinn, problem_limit
from ntkverify.symbolic.expression.functions import Z
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.smoothness import smoothness

theorem = Theorem(
    "Positive definite limit Gram matrices of physics-informed networks",
    source=Source(arxiv="2408.00573", version=4, where="Lemma 4.4, Assumption 4.3", provenance="reconstructed"),
    statement=r"""
        If no two samples coincide and $\sigma$ is ReLU$^3$, or analytic, no polynomial, with bounded and
        Lipschitz derivatives whose ratio $\sigma^{(n)}(cx)/\sigma^{(n)}(x)$ decays, then
        $\lambda_{\min}(H^\infty) > 0$.
    """,
)


@theorem.assumption("samples distinct")
def distinct(run):
    x = np.concatenate(list(run.points.values()))
    return (np.linalg.norm(x[:, None] - x[None], axis=2) + 2 * np.eye(len(x))).min() - 1e-6


@theorem.assumption("smooth activation")
def smooth_enough(run):
    return -smoothness(run.activation).missing


@theorem.assumption("at most two samples of a block, 1/100 apart")
def few_apart(run):
    """What float64 can tell: lambda_0 falls with the square of a pair's distance, and faster for more samples."""
    sizes, gaps = zip(*((len(x), np.linalg.norm(x[-1] - x[0])) for x in run.points.values()), strict=True)
    return min(2 - max(sizes), *(gap - 0.01 for size, gap in zip(sizes, gaps, strict=True) if size == 2), 1)


pair = Merging(theorem)
DISTINCT, SMOOTH, MERGING = ("samples distinct",), ("samples distinct", "smooth activation"), (ONE_PAIR, APART)
theorem.declare(data=PINN_POINTS)

# ---- instances ----------------------------------------------------------------------------------------------------


def scattered(largest):
    def build(draw):
        counts = draw(st.integers(1, largest)), draw(st.integers(1, largest))
        return Instance(data=space_time_points(draw, *counts, draw(st.integers(1, 2))), width=1)

    return build


def family(name, activation, quick, kind=PinnRun):
    return theorem.instances(name, run=pinn(activation=activation, kind=kind), quick=quick)


SQUARE, H = Activation("square", Z**2), 2.0**-9
family("ReLU^3", "relu3", 30)(scattered(4))
family("erf", "erf", 3)(scattered(3))  # smooth with a closed form, so that balls can decide
family("tanh", "tanh", 3)(scattered(2))  # expectations by quadrature: float64 only
CUBED, ERF, LATE = "merging samples, ReLU^3", "merging samples, erf", "merging samples late in time, ReLU^3"
BESIDE, PAIRS = "merging samples beside a third, erf", "two pairs, ReLU^3"
family(CUBED, "relu3", 20, MergingRun)(merging_pair)
family(ERF, "erf", 10, MergingRun)(merging_pair)


@family(LATE, "relu3", 1, MergingRun)
def merging_late():
    """Found by a search: 0.55 of the bound is reached, where 20 random draws reach less than half."""
    return merging([[0.2677, 0.9911], [0.0042, 0.0977]], [H, 0.0], [[0.0, 0.5582], [0.7039, 1.0]], H)


@family(BESIDE, "erf", 1, MergingRun)
def merging_beside():
    """Found by a search: the third interior sample is 14 h away from the pair."""
    interior = [[0.41499774363672515, 0.2983270963278235], [0.3919728896561314, 0.28184213537652614]]
    return merging(interior, [0.0, H], [[0.16654795107263154, 0.0], [0.4949071459154768, 1.0]], H)


@family(PAIRS, "relu3", 1, MergingRun)
def merging_beside_a_pair():
    """The boundary's two samples are 6 h apart, and lambda_0 is theirs."""
    return merging([[0.066, 0.111], [0.869, 0.51]], [0.0, H], [[0.0, 0.009], [0.009, 0.0]], H)


@family("coinciding samples", "relu3", 5)
def coinciding(draw):
    points = space_time_points(draw, 2, 2, 1)
    return Instance(data={**points, "interior": points["interior"][[0, 1, 0]]}, width=1)


@family("polynomial activation", SQUARE, 5)
def polynomial(draw):
    """The interior gradients are affine in the two coordinates: a space of dimension 3 a weight, and 4 samples."""
    return Instance(data=space_time_points(draw, 4, 1, 1), width=1)


QUALIFYING = ("sigmoid", "softplus", "tanh", "swish", "erf", "gelu")
OTHERS = ("relu3", "sin", SQUARE)


class ActivationRun(AlgebraRun):
    """One activation out of a list."""

    @property
    def missing(self):
        """Number of conditions of the smooth case that it fails."""
        return smoothness((*QUALIFYING, *OTHERS)[int(self.index)]).missing


def activation(index):
    return Instance(parameters={"index": index})


@theorem.instances("activations that qualify", run=ActivationRun, quick=40)
def qualifying(draw):
    return activation(draw(st.integers(0, len(QUALIFYING) - 1)))


# ---- the conditions on the activation -----------------------------------------------------------------------------

CONDITIONS = {"of": "missing", "holds": always, "bound": 0, "assumes": ()}
theorem.lemma(
    "logistic, softplus, tanh, swish, erf and gelu meet every condition of the smooth case",
    on="activations that qualify",
    **CONDITIONS,
)
for index, title, alone in (
    (0, "ReLU^3 meets the conditions of the smooth case", "ReLU^3 alone"),
    (1, "sin meets them: its derivatives decay", "sin alone"),
    (2, "z^2 meets them: polynomials do", "square alone"),
):
    theorem.instances(alone, run=ActivationRun, quick=1)(functools.partial(activation, len(QUALIFYING) + index))
    theorem.control(title, on=alone, **CONDITIONS)

# ---- positivity ---------------------------------------------------------------------------------------------------


def half_of_rounding(run):
    """Half of what float64's lambda_0 may be off: entries and eigensolve, relative to the norm."""
    return 4 * run.n * ULP * run.limit_norm


def integration_error(run):
    """Frobenius norm of the estimated errors of the entries of H^inf."""
    limit = problem_limit(run.activation, run.equation, run.points["interior"].shape[1])
    return np.linalg.norm(limit.matrix_with_error(run.points, normalise=True)[1])


def certified(run):
    """The proved lower end of lambda_0; far below any bound where nothing is proved positive."""
    enclosure = run.certified_lambda_0
    return float(enclosure.lower) if enclosure.is_positive else -run.limit_norm


float_lambda_0 = theorem.quantity("float_lambda_0", least)
quadrature_error = theorem.quantity("quadrature_error", integration_error)
ABOVE = {"holds": always, "from_below": True}
# the certificate may lose a factor of 2 against float64's lambda_0
CERTIFIED = {"of": certified, "bound": Rational(1, 2) * float_lambda_0, "error": half_of_rounding, **ABOVE}
MEETS = "logistic, softplus"
theorem.conclusion(
    "ReLU^3: lambda_0 > 0, certified at no less than half of float64's value",
    assumes=DISTINCT,
    on="ReLU^3",
    **CERTIFIED,
)
theorem.conclusion(
    "smooth: lambda_0 > 0, certified at no less than half of float64's value",
    assumes=SMOOTH,
    on="erf",
    uses=MEETS,
    **CERTIFIED,
)
theorem.conclusion(
    "smooth without closed form: float64's lambda_0 is above its rounding error and the quadrature's own estimate",
    of=least,
    bound=n * Rational(*ULP.as_integer_ratio()) * limit_norm + quadrature_error,
    assumes=(*SMOOTH, "at most two samples of a block, 1/100 apart"),
    on="tanh",
    uses=MEETS,
    **ABOVE,
)
SINGULAR = {"of": lambda run: float(run.certified_lambda_0.lower), "bound": limit_norm / Integer(2) ** 40, **ABOVE}
theorem.control(
    "ReLU^3: lambda_0 is certified positive though two samples coincide",
    assumes=(),
    on="coinciding samples",
    **SINGULAR,
)
theorem.control(
    "a polynomial activation has a positive definite limit Gram matrix",
    assumes=DISTINCT,
    on="polynomial activation",
    **SINGULAR,
)

# ---- how lambda_0 vanishes ----------------------------------------------------------------------------------------

pair.at_most_a_pair(assumes=DISTINCT, on=(CUBED, ERF))
pair.halving(
    "ReLU^3: halving the distance of two interior samples halves lambda_0, up to sqrt(h) as chosen",
    2,
    assumes=(*DISTINCT, *MERGING),
    on=(CUBED, LATE),
    uses=("lambda_0 <= E||grad", "ReLU^3: lambda_0 > 0"),
)
pair.halving(
    "smooth: halving the distance of two interior samples quarters lambda_0, up to sqrt(h) as chosen",
    4,
    assumes=(*SMOOTH, *MERGING),
    on=ERF,
    uses=("lambda_0 <= E||grad", "smooth: lambda_0 > 0"),
)
FALSE = {"kind": "control", "assumes": DISTINCT}
pair.halving(
    "smooth: halving the distance quarters lambda_0 up to sqrt(h) as chosen wherever the other samples are",
    4,
    kind="control",
    assumes=SMOOTH,
    on=BESIDE,
)
pair.halving(
    "ReLU^3: halving the distance halves lambda_0 up to sqrt(h) as chosen wherever the other samples are",
    2,
    on=PAIRS,
    **FALSE,
)
pair.halving("ReLU^3: halving the distance quarters lambda_0, as for a smooth activation", 4, on=CUBED, **FALSE)
