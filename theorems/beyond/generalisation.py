r"""Generalisation from the labels: y^T (H^inf)^(-1) y bounds the test error, and tells true labels from random ones.

Data        x on the unit sphere, uniform on a population of N points, y in [-1, 1]; n draws with replacement
Kernel      H^inf(x, x') = x.x' (pi - theta)/(2 pi), of ReLU networks whose first layer is trained: H^inf(x, x) = 1/2;
            l(u, y) = min(1, |u - y|), L_D its mean over the population, L_S that over the draws
Guarantee   with probability at least 1 - delta over the sample, for all f of norm at most B at once:
            L_D(f) <= L_S(f) + B sqrt(2/n) + sqrt(log(1/delta)/(2 n)); and for the interpolant of least norm
            L_D <= (b + 1) sqrt(2/n) + sqrt(log((b + 1)(b + 2)/delta)/(2 n)), b^2 = y^T (H^inf)^(-1) y  (upper)
Labels      y = (beta . x)^p, |beta| = 1: b^2 <= 1/c_p^2 = 4, 2 pi, 12 pi for p = 1, 2, 4, whatever the sample
            random signs: b^2 >= n^2/(n/2 + sqrt(2 (1 - delta)/delta) ||H^inf - 1/2||_F), and
            L_D >= (1 - n/N) (1/2 - sqrt(log(1/delta)/(2 (N - n))))
Network     trained for k steps: L_D(u) <= L_S(u) + 2 max |u - u_lin| + the same with the kernel of the draw

Of Theorem 5.1 of arXiv 1901.08584, not at hand, sqrt(2 y^T (H^inf)^(-1) y/n) is the leading term. Derived here: the
mean of sqrt(s^T H s) over signs s is at most sqrt(tr H) = sqrt(n/2) whatever the sample, so that the complexity need
not be estimated from it and McDiarmid's inequality is paid for once: sqrt(log(1/delta)/(2 n)), not the usual
3 sqrt(log(2/delta)/(2 n)). The union over B = 1, 2, ... spends delta/(B (B + 1)). As (x.x')^p is in the kernel with the
weight c_p^2 of its series, b is at most 1/c_p. (y^T y)^2 <= y^T H y y^T H^(-1) y and Cantelli's inequality bound b for
random signs from below.
"""

import itertools
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational, log, pi, sqrt

from ntkverify import Instance, Source, Theorem, always, with_probability
from ntkverify.glossary import delta, n
from ntkverify.instances import orthonormal_inputs, unit_inputs
from ntkverify.lemmas.relu.arc_cosine import ArcCosine
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.field import from_population
from ntkverify.problems.regression import limit_gram_matrix
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Generalisation of kernel regression and of networks near it, two-layer ReLU regression",
    source=Source(arxiv="1901.08584", version=2, where="Theorem 5.1", provenance="derived"),
    statement=r"""
        Let $x$ be uniform on a finite subset of the sphere, $b^2 = y^\top (H^\infty)^{-1} y$ for a sample of $n$ draws.
        With probability $1-\delta$ the interpolant of least norm has
        $L_D \le (b+1)\sqrt{2/n} + \sqrt{\log((b+1)(b+2)/\delta)/(2n)}$. Labels $(\beta\cdot x)^p$ have
        $b \le |\beta|^p/c_p$, random signs $b^2 \ge n^2/(n/2 + \sqrt{2(1-\delta)/\delta}\,\|H^\infty - I/2\|_F)$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

size = sympy.Symbol("size", positive=True)
t = sympy.Symbol("t", real=True)
SERIES = sympy.series(t * (pi - sympy.acos(t)) / (2 * pi), t, 0, 5).removeO()
norms = {
    p: theorem.constant(
        f"norm_{p}",
        derived(1 / SERIES.coeff(t, p), f"1/coefficient of t^{p} in the kernel at x.x' = t"),
        f"squared norm of x -> (beta . x)^{p}, |beta| = 1",
    )
    for p in (1, 2, 4)
}
trace = theorem.constant("trace", derived(Rational(1, 2), "H^inf(x, x) = 1/2 at theta = 0"), "H^inf(x, x)")
b = theorem.quantity("b", lambda run: np.sqrt(run.complexity))


def allowed(norm, kernel=trace, chance=delta):
    """What the population may cost more than the sample, for functions of norm at most `norm`."""
    return 2 * norm * sqrt(kernel / size) + sqrt(log(1 / chance) / (2 * size))


def allowed_for_all(norm, kernel=trace):
    """The same for a norm that the sample decides: for B = norm + 1, at delta/(B (B + 1))."""
    return allowed(norm + 1, kernel, delta / ((norm + 1) * (norm + 2)))


theorem.declare(data={"population": ("N", "d"), "labels": ("N",)}, parameters={"delta": 0.1, "size": 64})


@theorem.assumption("unit points")
def unit(run):
    return 4 * run.d * ULP - np.abs(np.linalg.norm(run.tests, axis=1) - 1).max()


# ---- instances ----------------------------------------------------------------------------------------------------


def sphere(count, dimension):
    points = np.random.default_rng(dimension).standard_normal((count, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def drawn_from(points, p, *, size, width=2, **options):
    """A sample of the labels (beta . x)^p, beta along the first axis."""
    data = {"population": points, "labels": points[:, 0] ** p}
    return Instance(data=data, parameters={"delta": 0.1, "size": size, "p": p}, width=width, **options)


def wide_population(p):
    return lambda: drawn_from(sphere(512, 1 + 2 * p), p, size=128)


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
    points = sphere(96, draw(st.sampled_from([4, 6])))
    step = 2 / (3 * np.linalg.norm(limit_gram_matrix(points), 2)) / ALPHA**2
    found = drawn_from(points, draw(st.sampled_from([1, 2])), size=64, width=256, step=step, steps=4)
    return replace(found, parameters={**found.parameters, "alpha": ALPHA, "delta": 0.2})


ALPHA = 8.0
FEW, NETWORK = "few points", "networks"
TRUE, RANDOM = (tuple(f"{kind} labels, p = {p}" for p in (1, 2)) for kind in ("true", "random"))
for p, true, random in zip((1, 2), TRUE, RANDOM, strict=True):
    theorem.instances(true, run=from_population(), quick=40)(wide_population(p))
    theorem.instances(random, run=from_population(random_labels=True), quick=40)(wide_population(p))
theorem.instances(FEW, run=from_population(), quick=40)(few_points)
theorem.instances(NETWORK, run=from_population(), quick=20)(network)
for p in norms:
    theorem.instances(f"labels to the power {p}", run=from_population(), quick=20)(powers(p))

# ---- how large the ball is ------------------------------------------------------------------------------------------

ArcCosine(theorem)
SURE = {"holds": with_probability(1 - delta)}


@theorem.control("the mean complexity is at most half of that", holds=always, bound=sqrt(n * trace) / 2, on=FEW)
@theorem.lemma(
    "the mean over all signs of sqrt(s^T H^inf s), n times the complexity of the unit ball, is at most sqrt(n/2)",
    holds=always,
    bound=sqrt(n * trace),
    on=FEW,
    attained=True,  # by orthonormal inputs
    uses="tr H^inf = n/2",
)
def complexity_of_the_ball(run):
    signs = run.numbers(np.array(list(itertools.product([-1.0, 1.0], repeat=len(run.targets)))))
    return np.sqrt(((signs @ run.limit_gram) * signs).sum(axis=1)).mean()


def far(run):
    """sup over the unit ball of the mean over the population minus that over the sample."""
    return np.sqrt(run.excess @ run.population_kernel @ run.excess)


theorem.conclusion(
    "means over sample and population differ by 1/sqrt(2 n) + sqrt(log(1/delta)/n) at most, for all f of norm 1",
    of=far,
    bound=sqrt(trace / size) + sqrt(2 * trace * log(1 / delta) / size),
    on=TRUE,
    **SURE,
)
theorem.control("the same by 1/n", of=far, bound=1 / size, on=TRUE, **SURE)


def gap(run):
    """The largest L_D - L_S of the interpolant and of the functions of its norm that see the sample best and worst."""
    spread = run.b * run.witness
    return max(run.population_error(f) - run.sample_error(f) for f in (run.interpolant, spread, -spread))


# ---- true labels ----------------------------------------------------------------------------------------------------


def solved(run):
    """Rounding of y^T H^(-1) y."""
    return 8 * ULP * len(run.targets) * np.linalg.cond(run.plain.limit_gram) * run.plain.complexity


for p, norm in norms.items():
    theorem.conclusion(
        f"y^T (H^inf)^(-1) y <= norm_{p} for y = (beta . x)^{p}",
        of="complexity",
        holds=always,
        bound=norm,
        on=f"labels to the power {p}",
        error=solved,
        uses="H^inf(x, x')",
    )
KNOWN = sqrt(theorem.quantity("known", lambda run: run.evaluate(norms[round(run.p)])))
BALL = ("the mean over all signs",)
theorem.conclusion(
    "L_D - L_S <= B sqrt(2/n) + sqrt(log(1/delta)/(2 n)) in the ball of B = sqrt(norm_p), which has the interpolant",
    of=gap,
    bound=allowed(KNOWN),
    on=TRUE,
    uses=(*BALL, "y^T (H^inf)^(-1) y <= norm_1", "y^T (H^inf)^(-1) y <= norm_2"),
    **SURE,
)


@theorem.control("labels at random: the same at the norm of the true labels", bound=allowed(KNOWN), on=RANDOM, **SURE)
@theorem.conclusion(
    "L_D <= (b + 1) sqrt(2/n) + sqrt(log((b + 1)(b + 2)/delta)/(2 n)) for the interpolant, whatever the labels",
    bound=allowed_for_all(b),
    on=(*TRUE, *RANDOM),
    uses=BALL,
    **SURE,
)
def interpolant_error(run):
    return run.population_error(run.interpolant)


# ---- random labels --------------------------------------------------------------------------------------------------

N = theorem.quantity("N", lambda run: len(run.tests))
off_diagonal = theorem.quantity(
    "off_diagonal", lambda run: np.linalg.norm(run.limit_gram - np.eye(len(run.targets)) / 2)
)
SIGNS = n**2 / (trace * n + sqrt(2 * (1 - delta) / delta) * off_diagonal)
RANDOMLY = {"on": RANDOM, **SURE}
theorem.lemma(
    "random signs: y^T (H^inf)^(-1) y >= n^2/(n/2 + sqrt(2 (1 - delta)/delta) ||H^inf - 1/2||_F)",
    of="complexity",
    bound=SIGNS,
    from_below=True,
    **RANDOMLY,
)
theorem.control("random signs: y^T (H^inf)^(-1) y <= norm_2", of="complexity", bound=norms[2], **RANDOMLY)
theorem.conclusion(
    "the true labels' complexity, over that of random ones, is at most norm_p over the bound for these",
    of=lambda run: run.complexity_of(run.instance.array("labels")) / run.complexity,
    bound=KNOWN**2 / SIGNS,
    uses=("random signs: y^T", "y^T (H^inf)^(-1) y <= norm_1", "y^T (H^inf)^(-1) y <= norm_2"),
    **RANDOMLY,
)
theorem.conclusion(
    "random labels: L_D >= (1 - n/N) (1/2 - sqrt(log(1/delta)/(2 (N - n)))), where true ones have less",
    of=interpolant_error,
    bound=(1 - n / N) * (trace - sqrt(log(1 / delta) / (2 * (N - n)))),
    from_below=True,
    **RANDOMLY,
)
theorem.control(
    "no price for what is fitted: L_D - L_S <= sqrt(log(1/delta)/(2 n))", of=gap, bound=allowed(0), **RANDOMLY
)

# ---- networks -------------------------------------------------------------------------------------------------------

start = theorem.quantity("start", lambda run: run.start_at_all_points().gram.diagonal().max() / run.alpha**2)
norm_0 = theorem.quantity(
    "norm_0", lambda run: run.alpha * np.sqrt(run.targets @ np.linalg.solve(run.trajectory.grams[0], run.targets))
)
left = theorem.quantity("left", lambda run: np.abs(run.field - linear(run))[-1].max())
fitted = theorem.quantity("fitted", lambda run: run.sample_error(run.field[-1]))


def linear(run):
    count = len(run.targets)
    return run.linear_field(run.trajectory.grams[0], run.start_at_all_points().gram[count:, :count])


theorem.conclusion(
    "networks: L_D <= L_S + 2 max |u - u_lin| + the bound with the kernel of the draw, after any number of steps",
    of=lambda run: run.population_error(run.field[-1]),
    bound=fitted + 2 * left + allowed_for_all(norm_0, start),
    on=NETWORK,
    uses=BALL,
    **SURE,
)
