r"""Generalisation from the labels: y^T (H^inf)^(-1) y bounds the test error, and tells true labels from random ones.

Data        x on the unit sphere, uniform on a population of N points, y in [-1, 1]; n draws with replacement, n' of
            them distinct
Kernel      H^inf(x, x') = x.x' (pi - theta)/(2 pi), of ReLU networks whose first layer is trained: H^inf(x, x) = 1/2;
            l(u, y) = min(1, |u - y|), L_D its mean over the population, L_S that over the draws
Guarantee   with probability at least 1 - delta over the sample, for all f of norm at most B at once
            (put to three functions a sample): L_D(f) <= L_S(f) + B sqrt(2/n) + sqrt(log(1/delta)/(2 n)); and for the
            interpolant of least norm L_D <= (b + 1) sqrt(2/n) + sqrt(log((b + 1)(b + 2)/delta)/(2 n)),
            b^2 = y^T (H^inf)^(-1) y at the distinct draws  (upper): at 280 draws 0.35 for y = beta . x, where L_D is
            below 0.01 and u = 0 has 0.4 or 0.5; for p = 2 in 4 dimensions or more u = 0 has less, and it says nothing
Labels      y = (beta . x)^p, |beta| = 1, p = 1 or even: b^2 <= 1/c_p^2 = 4, 2 pi, 12 pi for p = 1, 2, 4, whatever the
            sample, c_p^2 the coefficient of (x.x')^p in H^inf; random signs, G = (H^inf)^(-1):
            b^2 >= tr G - sqrt(2 (1 - delta)/delta) ||G off its diagonal||_F, hundreds to thousands of times that on
            these populations, and L_D >= (1 - n'/N) (1/2 - sqrt(log(1/delta)/(2 (N - n')))). Where that bound of b^2
            is n/2 or more, as here, b sqrt(2/n) >= 1 and the bound of L_D says nothing; near orthogonal points it does
Network     for all k at once: L_D(u_k) <= L_S(u_k) + 2 max |u_k - u_lin,k| + the same with the kernel of the draw and
            the norm of u_lin,k in it: at 400 draws 0.45 or so, where u = 0 has 0.5 or more, and so have the losses at
            the points seen with 1 at each of the others

Of Theorem 5.1 of arXiv 1901.08584, not at hand, sqrt(2 y^T (H^inf)^(-1) y/n) is the leading term; nothing else here is
from there. Derived here: the mean of sqrt(s^T H s) over signs s is at most sqrt(tr H) = sqrt(n/2) whatever the sample,
so that the complexity need not be estimated from it and McDiarmid's inequality is paid for once, not three times at
delta/2. The union over B = 1, 2, ... spends delta/(B (B + 1)). As (x.x')^p is in the kernel with the weight c_p^2 of
its series, b is at most 1/c_p. b^2 of random signs has the mean tr H^(-1) >= n'^2/tr H = 2 n' and the variance 2
||A||_F^2, A the inverse off its diagonal, and Cantelli's inequality bounds it from below.
"""

import functools
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from sympy import Rational, log, sqrt

from ntkverify import Instance, Source, Theorem, with_probability
from ntkverify.glossary import delta, n
from ntkverify.instances import orthonormal_inputs, unit_inputs
from ntkverify.lemmas.relu.kernel_ball import KernelBall, largest_gap, size
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.field import from_population
from ntkverify.problems.regression import limit_gram_matrix

theorem = Theorem(
    "Generalisation of kernel regression and of networks near it, two-layer ReLU regression",
    source=Source(arxiv="1901.08584", version=2, where="Theorem 5.1", provenance="derived"),
    statement=r"""
        Let $x$ be uniform on a finite subset of the sphere, $b^2 = y^\top (H^\infty)^{-1} y$ at $n$ draws' points.
        With probability $1-\delta$ the interpolant of least norm has
        $L_D \le (b+1)\sqrt{2/n} + \sqrt{\log((b+1)(b+2)/\delta)/(2n)}$. Labels $(\beta\cdot x)^p$, $p$ 1 or
        even, have $b \le |\beta|^p/c_p$, $c_p^2$ the coefficient of $(x\cdot x')^p$ in $H^\infty$; random signs
        $b^2 \ge \mathrm{tr}\,G - \sqrt{2(1-\delta)/\delta}\,\|G - \mathrm{diag}\,G\|_F$, $G = (H^\infty)^{-1}$.
    """,
)


def b_of(run):
    return np.sqrt(run.complexity)


def power(run):
    return round(run.instance.parameters["p"])


# ---- constants ----------------------------------------------------------------------------------------------------

ball = KernelBall(theorem, (1, 2, 4))
b = theorem.quantity("b", b_of)
N = theorem.quantity("N", lambda run: len(run.tests))
KNOWN = sqrt(theorem.quantity("known", lambda run: run.evaluate(ball.norms[power(run)])))
theorem.declare(data={"population": ("N", "d"), "labels": ("N",)}, parameters={"delta": 0.1, "size": 64})


@theorem.assumption("unit points")
def unit(run):
    return 4 * run.d * ULP - np.abs(np.linalg.norm(run.tests, axis=1) - 1).max()


@theorem.assumption("labels (beta . x)^p, beta along the first axis")
def powers_of_a_coordinate(run):
    return 8 * run.p * ULP - np.abs(run.instance.array("labels") - run.tests[:, 0] ** power(run)).max()


UNIT = "unit points"
POWERS = (UNIT, "labels (beta . x)^p, beta along the first axis")

# ---- instances ----------------------------------------------------------------------------------------------------


SEEDS = st.integers(0, 3)  # of populations: runs share the kernel of one


def sphere(count, dimension, seed):
    points = np.random.default_rng([dimension, seed]).standard_normal((count, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def drawn_from(points, p, *, size, width=2, **options):
    """A sample of the labels (beta . x)^p, beta along the first axis."""
    data = {"population": points, "labels": points[:, 0] ** p}
    return Instance(data=data, parameters={"delta": 0.1, "size": size, "p": p}, width=width, **options)


def wide_population(p):
    def of(draw):
        count, dimension = draw(st.sampled_from([400, 480])), draw(st.sampled_from([2 + p, 3 + p]))
        return drawn_from(sphere(count, dimension, draw(SEEDS)), p, size=draw(st.integers(240, 280)))

    return of


def few_points(draw):
    points = draw(st.sampled_from([orthonormal_inputs(8), None]))
    points = unit_inputs(draw, 8, draw(st.integers(2, 6)), spread=2.0) if points is None else points
    return drawn_from(points, 1, size=12)


def powers(p):
    def of(draw):
        points = unit_inputs(draw, 60, draw(st.integers(2, 4)), spread=3.0)
        return drawn_from(points, p, size=draw(st.integers(4, 60)))

    return of


def network(draw):
    count, dimension = draw(st.sampled_from([560, 600])), draw(st.sampled_from([2, 3]))
    return trained(count, dimension, draw(SEEDS), size=draw(st.integers(380, 420)), steps=4)


def network_at_random(draw):
    count, dimension = draw(st.sampled_from([96, 120])), draw(st.sampled_from([12, 16]))
    return trained(count, dimension, draw(SEEDS), size=count // 2, steps=8)


def trained(count, dimension, seed, *, size, steps):
    """At half of the step that is stable for so many samples of the population, all of them different."""
    step = inverse_norm(count, dimension, seed) * count / size
    found = drawn_from(sphere(count, dimension, seed), 1, size=size, step=step, width=64, steps=steps)
    return replace(found, parameters={**found.parameters, "alpha": ALPHA, "delta": 0.2})


@functools.cache
def inverse_norm(count, dimension, seed):
    return 1 / np.linalg.eigvalsh(limit_gram_matrix(sphere(count, dimension, seed)))[-1] / ALPHA**2


ALPHA = 16.0
FEW, NETWORK, FITTED = "few points", "networks", "networks, random labels"
TRUE, RANDOM = (tuple(f"{kind} labels, p = {p}" for p in (1, 2)) for kind in ("true", "random"))
for p, true, random in zip((1, 2), TRUE, RANDOM, strict=True):
    theorem.instances(true, run=from_population(), quick=40)(wide_population(p))
    theorem.instances(random, run=from_population(random_labels=True), quick=40)(wide_population(p))
theorem.instances(FEW, run=from_population(), quick=40)(few_points)
theorem.instances(NETWORK, run=from_population(), quick=20)(network)
theorem.instances(FITTED, run=from_population(random_labels=True), quick=10)(network_at_random)
LABELS = {p: f"labels to the power {p}" for p in ball.norms}
for p, family in LABELS.items():
    theorem.instances(family, run=from_population(), quick=20)(powers(p))

# ---- true labels ----------------------------------------------------------------------------------------------------

SURE = {"holds": with_probability(1 - delta), "assumes": UNIT}
KNOWING = {**SURE, "assumes": POWERS}
ball.complexity(on=FEW, assumes=UNIT)
ball.means(on=TRUE, assumes=UNIT)
ball.polynomials(LABELS, assumes=POWERS)


def gap(run):
    return largest_gap(run, np.sqrt(run.known))


BALL = ("the mean over all signs",)
FOR_ALL = ball.allowed_for_all(b)
theorem.conclusion(
    "L_D - L_S <= B sqrt(2/n) + sqrt(log(1/delta)/(2 n)) for the interpolant and two more of B = sqrt(norm_p)",
    of=gap,
    bound=ball.allowed(KNOWN),
    on=TRUE,
    uses=(*BALL, "y^T (H^inf)^(-1) y <= norm_1", "y^T (H^inf)^(-1) y <= norm_2"),
    **KNOWING,
)


@theorem.control(
    "labels at random: the same at the norm of the true labels", bound=ball.allowed(KNOWN), on=RANDOM, **KNOWING
)
@theorem.conclusion(
    "L_D <= (b + 1) sqrt(2/n) + sqrt(log((b + 1)(b + 2)/delta)/(2 n)) for the interpolant, whatever the labels",
    bound=FOR_ALL,
    on=(*TRUE, *RANDOM),
    uses=BALL,
    **SURE,
)
def interpolant_error(run):
    return run.population_error(run.interpolant)


free = theorem.quantity("free", lambda run: min(run.population_error(0 * run.interpolant), run.unseen))
THIRD = {"of": lambda run: run.evaluate(FOR_ALL), "bound": free, **KNOWING}
theorem.conclusion(
    "labels beta . x, on these populations: that bound is below the error of u = 0 and the share of points unseen",
    on=TRUE[0],
    uses="y^T (H^inf)^(-1) y <= norm_1",
    **THIRD,
)
theorem.control("labels (beta . x)^2, on these populations: the same", on=TRUE[1], **THIRD)

# ---- random labels --------------------------------------------------------------------------------------------------

least = ball.signs(on=RANDOM, few=FEW, assumes=UNIT)
RATIO = {"bound": KNOWN**2 / least, "given": lambda run: bool(run.evaluate(least) > 0), "on": RANDOM, **KNOWING}
theorem.conclusion(
    "the true labels' complexity, over that of random ones, is at most norm_p over the bound for these",
    of=lambda run: run.complexity_of(run.instance.array("labels")) / run.complexity,
    uses=("random signs: y^T", "y^T (H^inf)^(-1) y <= norm_1", "y^T (H^inf)^(-1) y <= norm_2"),
    **RATIO,
)
theorem.control(
    "the same of the true labels in disorder: the last point's for the first",
    of=lambda run: run.complexity_of(run.instance.array("labels")[::-1]) / run.complexity,
    **RATIO,
)
LEADING = {"of": lambda run: b_of(run) * np.sqrt(2 / run.size), "bound": 1, **SURE}
theorem.conclusion(
    "random labels: b sqrt(2/n) >= 1 and the bound says nothing, where that of b^2 is n/2 or more",
    given=lambda run: bool(run.evaluate(least - size / 2) >= 0),
    uses="random signs: y^T",
    from_below=True,
    on=RANDOM,
    **LEADING,
)
theorem.control("true labels: b sqrt(2/n) >= 1", from_below=True, on=TRUE, **LEADING)
elsewhere = (1 - n / N) * (Rational(1, 2) - sqrt(log(1 / delta) / (2 * (N - n))))
UNSEEN = {"of": interpolant_error, "bound": elsewhere, "from_below": True, **SURE}
theorem.conclusion("random labels: L_D >= (1 - n'/N) (1/2 - sqrt(log(1/delta)/(2 (N - n'))))", on=RANDOM, **UNSEEN)
theorem.control("true labels: the same", on=TRUE, **UNSEEN)
theorem.control(
    "no price for what is fitted: L_D - L_S <= sqrt(log(1/delta)/(2 n))",
    of=gap,
    bound=ball.allowed(0),
    on=RANDOM,
    **KNOWING,
)

# ---- networks -------------------------------------------------------------------------------------------------------

start = theorem.quantity("start", lambda run: run.start_at_all_points().gram.diagonal().max() / run.alpha**2)
norm_k = theorem.quantity("norm_k", lambda run: run.alpha * run.linear_norms(run.trajectory.grams[0]))
left = theorem.quantity("left", lambda run: np.abs(run.field - linear(run)).max(axis=1))
fitted = theorem.quantity("fitted", lambda run: run.sample_error(run.field))


def linear(run):
    count = len(run.targets)
    return run.linear_field(run.trajectory.grams[0], run.start_at_all_points().gram[count:, :count])


NETWORKS = {"of": lambda run: run.population_error(run.field), **SURE}
FOR_NETWORKS = fitted + 2 * left + ball.allowed_for_all(norm_k, start)
theorem.conclusion(
    "networks: L_D <= L_S + 2 max |u - u_lin| + the bound with the kernel of the draw, for all k",
    bound=FOR_NETWORKS,
    on=NETWORK,
    uses=BALL,
    **NETWORKS,
)
trivial = theorem.quantity("trivial", lambda run: min(run.population_error(run.field[0]), run.counted(run.field[-1])))
INFORMS = {"of": lambda run: run.evaluate(FOR_NETWORKS)[-1], "bound": trivial, **SURE}
BELOW = "steps that bound is below the error of u = 0 and what is counted with 1 at points unseen"
theorem.conclusion(f"networks, on these populations: after 4 {BELOW}", on=NETWORK, **INFORMS)
theorem.control(f"networks, random labels: after 8 {BELOW}", on=FITTED, **INFORMS)
theorem.control(
    "networks, random labels: no price for what is fitted, L_D <= L_S + 2 max |u - u_lin| + sqrt(log(1/delta)/(2 n))",
    bound=fitted + 2 * left + ball.allowed(0),
    on=FITTED,
    **NETWORKS,
)
