r"""The operator theorem with nothing hidden, at its own width: pairs of neurons that cancel, and an output scale.

Network     G(u)(y) = alpha m^(-1/2) sum_r b_r(u) relu(w_r . y),  b_r(u) = p^(-1/2) sum_k s_rk relu(v_rk . u);
            pairs share w_r, v_rk ~ N(0, I) and have opposite fair signs s_rk, so that G = 0 at the start and r(0) = -z
Method      gradient descent on both sets of weights, eta = 2 / (3 (||H^inf|| + ||H~^inf||)) at the most
Guarantee   with probability 1 - delta, for all k: L(k) <= (1 - eta Lambda/2)^k L(0), |w_r(k) - w_r(0)| <= R,
            |v_r(k) - v_r(0)| <= S, both Gram matrices stay within sigma of their share of Lambda,
            ||I_1(k)|| <= epsilon Lambda eta ||r(k)||  (upper)
Hypotheses  |u_i| = |y_j| = 1, no two parallel; |z_ij| <= C; the width meets the requirements below

Limits scale with alpha^2, drift falls with 1/alpha and relative conditions stay what they are as functions of R and S.
So the width is that of the initial Gram matrix and of the count of switching neurons: 108,450 for two orthonormal
functions and queries at alpha = 1e5, where alpha = 1 asks for 5.0e12 at the best split of the slack. The Gram matrix
asks for 29 N^2 log(2 N (N + 1)/share)/lmin^2 and not for the 520 N^2 log of a cruder Bernstein bound: moments of an
entry are at most (2 q - 1)!!/4, since s relu(g) is a normal number with probability 1/2 and else 0 (`initial_gram`).
Other data have a width of their own by the same requirements, with m on both sides.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from sympy import Rational, sqrt

from ntkverify import Source, Theorem, always, identity, with_probability
from ntkverify.glossary import delta, eta, k, loss_0, residual
from ntkverify.instances import families
from ntkverify.lemmas import premises
from ntkverify.lemmas.gradient_descent import GradientDescent
from ntkverify.lemmas.neural_operator import bounds as operators
from ntkverify.lemmas.neural_operator.balls import SPLITS, OperatorBalls, gram_rounding, sigma, split, tau
from ntkverify.lemmas.neural_operator.bounds import Lambda, alpha, lambda_branch, lambda_trunk, norm_sum, p
from ntkverify.lemmas.rounding import loss_error, started
from ntkverify.problems.neural_operator.run import operator

theorem = Theorem(
    "Gradient descent of a shallow neural operator at its own width, coupled pairs and output scale",
    source=Source(arxiv="2412.05545", version=3, where="abstract (gradient descent)", provenance="derived"),
    statement=r"""
        Let $\|u_i\| = \|y_j\| = 1$, no two $u_i$ and no two $y_j$ parallel, $|z_{ij}| \le C$, neurons in pairs,
        $0 < \eta \le 2/(3(\|H^\infty\|_2 + \|\tilde H^\infty\|_2))$ and let $m$ meet the requirements. Then with
        probability at least $1-\delta$, for all $k$: $L(k) \le (1-\eta\Lambda/2)^k L(0)$ and no weight leaves its ball.
    """,
)

kept = 1 - tau - sigma
descent = GradientDescent(theorem, rate=Lambda, norm=norm_sum, kept=kept, said=operators.WORDS, splits=SPLITS)
balls = OperatorBalls(theorem, descent)
DATA = operators.unit_samples(theorem)
premises.step_at_most(theorem, "step at most 2/(3 (||H^inf|| + ||H~^inf||))", descent.eta_max)
balls.assumption()


theorem.declare(parameters={"C": lambda data: float(np.abs(data["values"]).max(initial=0)), "delta": 0.1})


@theorem.assumption("targets at most C")
def targets_bounded(run):
    return run.C - abs(run.values).max()


# ---- instances ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """Unit samples, units, scale, C, delta, and the split of the slack, found by `Chain.minimise` and rounded."""

    functions: Any
    queries: Any
    scale: float
    parameters: Mapping
    split: Mapping


def sizes(functions, queries, units, scale, *parts, bound=1.0, failure=0.1):
    names = ("tau", "sigma", "zeta", "theta", "share_gram", "share_flips", "share_branch", "share_trunk")
    parameters = {"p": units, "C": bound, "delta": failure}
    return Sizes(functions, queries, scale, parameters, split(**dict(zip(names, map(Rational, parts), strict=True))))


PAIR = np.eye(2)
OBTUSE = np.array([[1, 0], [np.cos(1.8), np.sin(1.8)]])  # two functions that are not orthonormal
ONE = sizes(PAIR[:1], PAIR[:1], 1, 1e3, "1/6", "1/3", "7/2", "1e-4", "1/5", "1/2", "3/20", "3/20")
TWO = sizes(
    OBTUSE, PAIR[:1], 2, 1e4, "1/4", "1/4", "7/2", "1/40000", "1/4", "1/2", "1/5", "1/20", bound=2.0, failure=0.2
)
FOUR = sizes(PAIR, PAIR, 4, 1e5, "1/3", "1/6", "15", "1e-5", "3/8", "3/8", "1/8", "1/8")
theorem.declare(splits={"two by two": FOUR.split, "one pair": ONE.split, "two functions": TWO.split})


def instance(given, *, width=None, scale=None, steps=None):
    """Targets up to C along the slowest direction; what turns all samples or flips all signs changes no law.

    In as many steps as take the guaranteed loss to a twentieth of its start ||r|| falls to a thousandth.
    """
    scale = given.scale if scale is None else scale
    samples = {"functions": given.functions, "queries": given.queries}
    if width is None:
        width = balls.width(**samples, split=given.split, scale=scale, **given.parameters)
    if steps is None:
        known = operators.spectra(**samples)
        steps = math.ceil(math.log(1 / 20) / math.log(1 - known[Lambda] / (3 * known[norm_sum])))
    built = operators.instance(
        None,
        theorem=theorem,
        eta_max=descent.eta_max,
        width=width,
        steps=steps,
        values=given.parameters["C"] * operators.slowest(**samples),
        units=given.parameters["p"],
        scale=scale,
        **samples,
    )
    numbers = {symbol.name: float(value) for symbol, value in given.split.items()}
    return replace(built, parameters={**built.parameters, **numbers, **given.parameters})


pairs = operator(coupled=True)


@theorem.instances("own width", run=pairs, quick=12, thorough=400)
def own_width():
    return instance(ONE)


@theorem.instances("own width, two functions", run=pairs, quick=4, thorough=100)
def own_width_two():
    return instance(TWO)


@theorem.instances("own width, two by two", run=pairs, quick=1, thorough=10, observed="1.1e5 neurons a draw")
def own_width_four():
    return instance(FOUR)


@theorem.instances("a hundredth of the own width", run=pairs, quick=40)
def hundredth():
    return families.hundredth(instance(ONE, steps=0))


@theorem.instances("one to four pairs", run=pairs, quick=40)
def few_pairs(draw):
    return instance(FOUR, width=draw(st.sampled_from([2, 4, 8])), scale=1.0, steps=6)


OWN = ("own width", "own width, two functions", "own width, two by two")
EVENTS = ("own width", "own width, two by two")

# ---- the chain ----------------------------------------------------------------------------------------------------


@theorem.lemma(
    "the output is zero at the start: r(0) = -z",
    holds=identity,
    assumes=DATA,
    on=(*OWN, "one to four pairs"),
    error=lambda run: run.trajectory.residuals_error[0],
)
def zero_start(run):
    return run.trajectory.residuals[0], -run.scaled_targets


balls.events(on=EVENTS, tight="own width")
balls.within(on=OWN, carried_on=EVENTS)
theorem.control(
    "a hundredth of the width: H(0) and its twin are within tau lambda_min of their limits",
    of=lambda run: run.initial_gram_errors.max(),
    holds=with_probability(1 - delta),
    bound=tau * lambda_trunk,  # the twin's is the same for one pair
    assumes=DATA,
    on="a hundredth of the own width",
)


@theorem.lemma(
    "drift allowed by the width fits into the balls while the loss contracts, from bounded features on",
    holds=always,
    bound=1,
    on=OWN,
    given=lambda run: descent.contracting_so_far(run) & balls.features_bounded(run),
)
def drift_fits(run):
    return balls.moved(run)


descent.recursion(on=OWN, assumes=DATA)
descent.contraction(on=OWN)
descent.sums()

# ---- conclusion ---------------------------------------------------------------------------------------------------

SURE = {"holds": with_probability(1 - delta), "on": OWN}


@theorem.control(
    "the rate to the sixth power",
    holds=with_probability(1 - delta),
    bound=(1 - eta * Lambda / 2) ** (6 * k) * loss_0,
    on="own width",
    error=loss_error,
)
@theorem.conclusion(
    "L(k) <= (1 - eta Lambda/2)^k L(0) for all k", bound=descent.contracted, given=started, error=loss_error, **SURE
)
def linear_rate(run):
    return run.losses


@theorem.control(
    "drift of the trunk within R/alpha: it falls like 1/alpha^2",
    holds=with_probability(1 - delta),
    bound=balls.R / alpha,
    on="own width",
)
@theorem.conclusion("no w_r moves further than R", bound=balls.R, **SURE)
def trunk_in_ball(run):
    return run.of_group("drift", "trunk")


@theorem.conclusion("no v_r moves further than S", bound=balls.S, **SURE)
def branch_in_ball(run):
    return run.of_group("drift", "branch")


@theorem.conclusion("no v_rk, a single unit, moves further than S/sqrt(p)", bound=balls.S / sqrt(p), **SURE)
def unit_in_ball(run):
    return run.unit_drift


@theorem.conclusion(
    "||H(k) - H(0)||_F <= sigma lambda_min(H^inf) for all k", bound=sigma * lambda_trunk, error=gram_rounding, **SURE
)
def gram_stable(run):
    return run.gram_drift_of("trunk")


@theorem.conclusion(
    "||H~(k) - H~(0)||_F <= sigma lambda_min(H~^inf) for all k",
    bound=sigma * lambda_branch,
    error=gram_rounding,
    **SURE,
)
def twin_stable(run):
    return run.gram_drift_of("branch")


@theorem.conclusion(
    "lambda_min(H(k) + H~(k)) >= (1 - tau - sigma) Lambda for all k",
    bound=kept * Lambda,
    from_below=True,
    **SURE,
)
def eigenvalue_kept(run):
    return run.eigenvalues[:, 0]


@theorem.conclusion("eta ||H(k) + H~(k)|| <= 1 for all k", bound=1, **SURE)
def step_kept(run):
    return run.eta * run.eigenvalues[:, -1]


@theorem.conclusion(
    "||I_1(k)|| <= epsilon Lambda eta ||r(k)|| for all k",
    bound=descent.epsilon * Lambda * eta * residual,
    error=lambda run: run.remainder_error,
    **SURE,
)
def remainder_small(run):
    return run.remainder


@theorem.control(
    "the rate with one to four pairs, the requirements ignored",
    holds=always,
    bound=descent.contracted,
    assumes=DATA,
    on="one to four pairs",
    given=started,
    error=loss_error,
)
def too_narrow(run):
    return run.losses
