r"""How far the two Gram matrices of a neural operator move, and what a step misses, from how far its weights move.

Network     G(u)(y) = m^(-1/2) sum_r b_r(u) relu(w_r . y),  b_r(u) = p^(-1/2) sum_k s_rk relu(v_rk . u)
Guarantee   while |w_r - w_r(0)| <= R and |v_r - v_r(0)| <= S (all units of a neuron together)
            ||H - H(0)||_F <= N (2 beta S + S^2 + 2 beta^2 near(R)),
            ||H~ - H~(0)||_F <= N (2 gamma R + R^2 + 2 gamma^2 near~),
            ||I_1|| <= N (beta_1^2 near(R) + gamma_1^2 near~ + 2 R gamma_1) eta ||r||;
            near(R), the share of neurons within R of switching, is at most 2 kappa R but for a probability of
            n_2 exp(-kappa m R/3), and near~, that of units within their own drift, likewise  (upper)
Hypotheses  |u_i| = |y_j| = 1; beta, gamma the largest features at the start, beta_1 = beta + S, gamma_1 = gamma + R

What counts is how far a whole branch moves, S, and not how far a unit does times sqrt(p): p^(-1/2) sum_k |dv_rk| is at
most |dv_r|. No random event is hidden in the three bounds: shares and features are measured. Steps of training move
weights a little; `carried across` moves every neuron and unit near switching against its samples, clustered so that
all entries move alike.
"""

import functools
import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Rational, log, symbols

from ntkverify import Source, Theorem, always, with_probability
from ntkverify.glossary import delta, eta, n, residual
from ntkverify.instances import families
from ntkverify.lemmas.neural_operator import bounds as operators
from ntkverify.lemmas.neural_operator.bounds import norm_sum
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.neural_operator.run import operator
from ntkverify.symbolic.constants.chain import derived

theorem = Theorem(
    "Stability of the Gram matrices of a shallow neural operator",
    source=Source(arxiv="2412.05545", version=3, where="abstract (stable Gram matrices)", provenance="derived"),
    statement=r"""
        Let $\|u_i\| = \|y_j\| = 1$ and let weights stay within $R$ and $S$ of the start. Then
        $\|H - H(0)\|_F \le N(2\beta S + S^2 + 2\beta^2\,\mathrm{near})$, the twin likewise, and
        $\|I_1\| \le N(\beta_1^2\,\mathrm{near} + \gamma_1^2\,\widetilde{\mathrm{near}} + 2R\gamma_1)\,\eta\|r\|$.
    """,
)

radius = symbols("radius", positive=True)
kappa = theorem.constant("kappa", operators.kappa(), "P(|g| <= R) <= kappa R")
eta_max = theorem.constant("eta_max", derived(Rational(2, 3) / norm_sum, "as for gradient descent"), "largest step")
DATA = operators.unit_samples(theorem)

# largest features, how far weights move, and the shares of neurons and units within reach of switching
beta = theorem.quantity("beta", lambda run: run.beta)
gamma = theorem.quantity("gamma", lambda run: run.gamma)
R = theorem.quantity("R", lambda run: run.of_group("drift", "trunk"))
S = theorem.quantity("S", lambda run: run.of_group("drift", "branch"))
near = theorem.quantity("near", lambda run: run.trunk_near(run.of_group("drift", "trunk").max()))
near_unit = theorem.quantity("near_unit", lambda run: run.branch_near(run.unit_drift.max()))
# means in place of maxima: of the features where the other factor is active, and of the squares of grown features over
# what is near switching
b_mean = theorem.quantity("b_mean", lambda run: (abs(run.branch_values).T @ on(run, run.trunk_arguments)).max() / run.m)
s_mean = theorem.quantity(
    "s_mean", lambda run: (active(run).T @ on(run, run.branch_arguments).sum(axis=1)).max() / (run.m * run.p)
)
switched = theorem.quantity(
    "switched",
    lambda run: (
        (((abs(run.branch_values) + run.radius) ** 2).T @ run.within(run.trunk_arguments, run.radius)).max() / run.m
    ),
)
switched_units = theorem.quantity("switched_units", lambda run: largest_side(run))
# the same at the end of a step, and the larger of both ends
R_step = theorem.quantity("R_step", lambda run: two_ends(run, "trunk"))
S_step = theorem.quantity("S_step", lambda run: two_ends(run, "branch"))


def active(run):
    """relu(w_r . y_j) at the start, (m, n_2)."""
    return np.maximum(run.trunk_arguments, run.number(0))


def on(run, arguments):
    """1 where a neuron or unit is active, else 0."""
    return run.numbers((arguments >= run.number(0)).astype(np.int64))


def largest_side(run):
    """For the twin, whose terms are not negative: what is switched on, or off, whichever is more."""
    inside, active_units = run.within(run.branch_arguments, run.radius), on(run, run.branch_arguments)
    sides = [(inside * side).sum(axis=1) for side in (active_units, 1 - active_units)]
    squares = (active(run) + run.radius) ** 2
    return run.numbers([(squares.T @ side).max() for side in sides]).max() / (run.m * run.p)


def two_ends(run, group):
    drift = run.of_group("drift", group)
    return np.maximum(drift[1:], drift[:-1])


# ---- instances ----------------------------------------------------------------------------------------------------

build = functools.partial(operators.instance, theorem=theorem, eta_max=eta_max)
CLUSTER = {"functions": operators.clustered(4, 3, 0.02), "queries": operators.clustered(4, 3, 0.02)}

theorem.instances("training", run=operator(), quick=30)(families.training(build, powers=(4, 10), steps=6))
theorem.instances("clustered", run=operator(), quick=30)(
    families.training(build, powers=(4, 8), steps=2, fractions=(0.3, 1.0), **CLUSTER)
)


@theorem.instances("clustered, short step", run=operator(), quick=200)
def clustered_short(draw):
    """Few neurons are near switching, so that one that switches is felt."""
    return build(draw, width=16, fraction=0.1, steps=1, units=1, **CLUSTER)


@theorem.instances("carried across", run=operator(), quick=30)
def carried(draw):
    """Every sample pulls a neuron the same way."""
    found = build(draw, width=2**10, steps=0, **CLUSTER)
    return replace(found, parameters={**found.parameters, "radius": draw(st.sampled_from([0.01, 0.1]))})


@theorem.instances("flip lemma's own width", run=operator(), quick=300, thorough=3000)
def flip_width(draw):
    """n_2 exp(-kappa m R/3) = delta: Chernoff for the counts of neurons to exceed twice their mean."""
    size, ball = draw(st.integers(1, 2)), Rational(1, 20)
    width = math.ceil(theorem.value(3 * log(size / Rational(1, 10)) / (kappa * ball), {}))
    found = build(draw, width=width, steps=0, functions=np.eye(2)[:size], queries=np.eye(2)[:size])
    return replace(found, parameters={**found.parameters, "radius": float(ball), "delta": 0.1})


MOVED = ("training", "clustered")

# ---- switching ----------------------------------------------------------------------------------------------------


@theorem.control(
    "at most half of that: kappa R",
    holds=with_probability(1 - delta),
    bound=kappa * radius,
    on="flip lemma's own width",
)
@theorem.lemma(
    "at most 2 kappa R of the neurons are within R of switching",
    holds=with_probability(1 - delta),
    bound=2 * kappa * radius,
    on="flip lemma's own width",
)
def few_flips(run):
    return run.trunk_near(run.radius)


@theorem.lemma(
    "at most 2 kappa R~ of the units are within R~ of switching",
    holds=with_probability(1 - delta),
    bound=2 * kappa * radius,
    on="flip lemma's own width",
)
def few_units(run):
    return run.branch_near(run.radius)


# ---- the Gram matrices --------------------------------------------------------------------------------------------

CHANGE = {
    "trunk": operators.trunk_gram_change(beta, S, near),
    "branch": operators.branch_gram_change(gamma, R, near_unit),
}
# |b b'| and |relu relu'| are at most half the sum of their squares, so that means do where maxima did; what grows is
# weighed by the old pattern of activity, what switches by the grown features
WORST = {
    "trunk": n * (2 * b_mean * radius + radius**2 + 2 * switched),
    "branch": n * (2 * s_mean * radius + radius**2 + 2 * switched_units),
}


def gram_rounding(run):
    return 2 * run.m * run.d * ULP * np.trace(run.trajectory.grams[0])


for group, letter in (("trunk", "H"), ("branch", "H~")):
    theorem.conclusion(
        f"||{letter}(k) - {letter}(0)||_F along training, from measured drift, features and shares near switching",
        holds=always,
        bound=CHANGE[group],
        on=MOVED,
        error=gram_rounding,
    )(lambda run, group=group: run.gram_drift_of(group))
    theorem.lemma(
        f"||{letter}' - {letter}(0)||_F where what is near switching is carried across and features grow",
        holds=always,
        bound=WORST[group],
        on="carried across",
    )(lambda run, group=group: run.carried(group, run.radius, run.radius))
    theorem.control(
        f"||{letter}' - {letter}(0)||_F without N",
        holds=always,
        bound=WORST[group] / n,
        on="carried across",
    )(lambda run, group=group: run.carried(group, run.radius, run.radius))


# ---- the step -----------------------------------------------------------------------------------------------------


@theorem.control(
    "||I_1(k)|| without N",
    holds=always,
    bound=operators.remainder(beta + S_step, gamma + R_step, near, near_unit, R_step) * eta * residual / n,
    on="clustered, short step",
    error=lambda run: run.remainder_error,
)
@theorem.conclusion(
    "||I_1(k)|| <= N (beta_1^2 near + gamma_1^2 near~ + 2 R gamma_1) eta ||r(k)||",
    holds=always,
    bound=operators.remainder(beta + S_step, gamma + R_step, near, near_unit, R_step) * eta * residual,
    on=(*MOVED, "clustered, short step"),
    error=lambda run: run.remainder_error,
)
def remainder_bound(run):
    return run.remainder
