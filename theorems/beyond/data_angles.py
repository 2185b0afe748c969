r"""How small the least eigenvalue of a ReLU network's limit Gram matrices is, from the angles between its samples.

Kernels     K_0(x, x') = x . x' (pi - theta)/(2 pi) of the gradients, so that H^inf = (K_0(x_i, x_j)), and K_1(x, x') =
            (sin theta + (pi - theta) cos theta)/(2 pi) of the outputs; of an operator Lambda = lambda_min(K_1(u))
            lambda_min(K_0(y)) + lambda_min(K_0(u)) lambda_min(K_1(y)), the rate
Guarantee   sum_p a_p max(0, 1 - R_p) <= lambda_min(K) <= 1/2 - max_(i != j) |K(x_i, x_j)|,
            R_p = max_i sum_(j != i) |x_i . x_j|^p, K = sum_p a_p rho^p;  with theta the smallest angle between lines
            through samples, and phi between samples
            3 theta/(8 pi^(3/2) sqrt(log(4 (n - 1)) + theta^2/2)) <= lambda_0 <= phi/(2 pi) + phi^2/4
            theta^3/(16 pi^(3/2) (log(4 (n - 1)) + theta^2)^(3/2)) <= lambda_min(K_1);  products of these for Lambda
Hypotheses  |x_i| = 1, n >= 2; nothing else about the data

a_p >= 0 (`lemmas/relu/angles`), Schur powers of X X^T are positive semidefinite, and Gershgorin bounds each of them;
two rows and columns bound from above, exactly so for two samples. So lambda_0 is of the order of the smallest angle, up
to sqrt(log n), where no two samples are nearly opposite. For K_1 a pair's angle alone says less: two samples have
theta^2, three in a row at most theta^3/13, about 2 theta^3/(9 pi). The sum takes 64 terms as they are and then two
powers an octave: of two samples it is 3/5 of the eigenvalue at least, at an angle of 1e-5 as well, where 64 terms have
1e-4 of it. Opposite samples leave nothing of it although lambda_0 is 1/2; up to 2048 samples what the library prints is
the larger of it and Gershgorin's bound of the kernel itself, and beyond, claimed here of few, it is not.
All is derived here.
"""

import functools

import numpy as np
from hypothesis import strategies as st
from sympy import pi

from ntkverify import Instance, Source, Theorem, always
from ntkverify.instances import generator, unit_inputs
from ntkverify.lemmas.relu.angles import NAMES, Angles, entries_error, phi, theta
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.neural_operator.angles import AnglesRun

theorem = Theorem(
    "The least eigenvalue of ReLU's limit kernels from the angles between samples",
    source=Source(provenance="derived"),
    statement=r"""
        Let $\|x_i\| = 1$ and $R_p = \max_i\sum_{j\ne i}|x_i\cdot x_j|^p$. Then $\sum_k c_k^2\max(0, 1-R_{k+1}) \le
        \lambda_0 \le \frac12 - \max_{i\ne j}|K_0(x_i, x_j)|$, and with $\theta$ the smallest angle between two lines
        $\lambda_0 \ge 3\theta/(8\pi^{3/2}\sqrt{\log(4(n-1))+\theta^2/2})$.
    """,
)

part = Angles(theorem)
theorem.declare(data={"functions": ("n_1", "q"), "queries": ("n_2", "d")})


@theorem.assumption("unit samples")
def unit(run):
    lengths = np.concatenate([np.linalg.norm(x, axis=1) for x in (run.functions, run.queries)])
    return 4 * max(run.functions.shape[1], run.queries.shape[1]) * ULP - abs(lengths - 1).max()


@theorem.assumption("two samples at least")
def several(run):
    return len(run.functions) - 2.0


# ---- instances ----------------------------------------------------------------------------------------------------


def build(functions, queries=((1.0,),)):
    return Instance(data={"functions": functions, "queries": queries}, parameters={"p": 1}, width=1)


def plane(*at):
    return np.array([[np.cos(x), np.sin(x)] for x in at])


SCATTERED, CLOSE, PAIR, MANY = "scattered samples", "a close pair", "two samples", "many samples"
ROW, TRIPLE, OPPOSITE, OPERATOR = "three in a row", "three at 120 degrees", "opposite samples", "operator"
NEAR = "two near samples"
ALL = (SCATTERED, CLOSE, PAIR, NEAR, MANY, ROW)


@theorem.instances(SCATTERED, run=AnglesRun, quick=60)
def scattered(draw):
    spread = draw(st.sampled_from([0.3, 1.0, 3.0]))
    return build(unit_inputs(draw, draw(st.integers(2, 6)), draw(st.integers(2, 6)), spread=spread))


@theorem.instances(CLOSE, run=AnglesRun, quick=40)
def close(draw):
    """Others, and a pair at an angle down to 1e-4."""
    x = unit_inputs(draw, draw(st.integers(1, 4)), 5)
    rng, angle = generator(draw), 10.0 ** -draw(st.integers(1, 4))
    across = rng.standard_normal(5)
    across -= across @ x[0] * x[0]
    near = np.cos(angle) * x[0] + np.sin(angle) * across / np.linalg.norm(across)
    return build(np.vstack([x, near / np.linalg.norm(near)]))


@theorem.instances(PAIR, run=AnglesRun, quick=30)
def pair(draw):
    """At any angle below pi, small ones among them."""
    angle = generator(draw).uniform(0.0, 3.0)
    return build(plane(0, angle * draw(st.sampled_from([1.0, 1e-2]))))


@theorem.instances(NEAR, run=AnglesRun, quick=20)
def near_pair(draw):
    """From 0.3 down to 1e-5."""
    start, angle = generator(draw).uniform(0, 2 * np.pi), 10 ** generator(draw).uniform(-5, -0.5)
    return build(plane(start, start + angle))


@theorem.instances(MANY, run=AnglesRun, quick=10)
def many(draw):
    return build(unit_inputs(draw, draw(st.sampled_from([20, 60])), draw(st.integers(2, 8)), spread=3.0))


@theorem.instances(ROW, run=AnglesRun, quick=6)
def row(draw):
    angle = 2.0 ** -draw(st.integers(2, 7))
    return build(plane(0, angle, 2 * angle))


theorem.instances(TRIPLE, run=AnglesRun, quick=1)(lambda: build(plane(0, 2 * np.pi / 3, 4 * np.pi / 3)))
theorem.instances(OPPOSITE, run=AnglesRun, quick=1)(lambda: build(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])))


@theorem.instances(OPERATOR, run=AnglesRun, quick=40)
def both(draw):
    spread = st.sampled_from([0.3, 3.0])
    return build(*(unit_inputs(draw, draw(st.integers(1, 4)), 4, spread=draw(spread)) for _ in range(2)))


# ---- the chain ----------------------------------------------------------------------------------------------------

part.series(on=(SCATTERED, PAIR))
part.schur(on=ALL, signed=TRIPLE)
part.one_angle()
part.summed(on=ALL, near=NEAR, close=CLOSE)
part.in_a_row(on=ROW)

# ---- conclusions --------------------------------------------------------------------------------------------------

ABOVE = {"holds": always, "error": entries_error, "from_below": True}
BELOW = {"holds": always, "error": entries_error}
LEAST = [{"of": lambda run, kernel=kernel: run.least(kernel)} for kernel in (0, 1)]
ANGLE = "3 theta/(8 pi^(3/2) sqrt(log(4 (n-1)) + theta^2/2))", "theta^3/(16 pi^(3/2) (log(4 (n-1)) + theta^2)^(3/2))"
BEYOND = ("beyond", "beyond 2048 samples, asked of fewer", {"pairwise": 0})


def quantity(name, kernel, measure):
    return theorem.quantity(f"{name}_{kernel}", lambda run: measure(run, kernel))


for kernel, name in enumerate(NAMES):
    theorem.conclusion(
        f"{name} >= sum_p a_p max(0, 1 - R_p): 64 terms, then two powers an octave",
        bound=quantity("termwise", kernel, AnglesRun.lower),
        on=ALL,
        attained=True,  # by two samples at less than a right angle
        uses=("the least eigenvalue of every Schur power", f"K_{kernel} is its power series"),
        **LEAST[kernel],
        **ABOVE,
    )
    theorem.conclusion(
        f"{name} <= 1/2 - max |K_{kernel}| off the diagonal",
        bound=quantity("pair", kernel, AnglesRun.upper),
        on=(*ALL, OPPOSITE),
        attained=True,  # by two samples
        **LEAST[kernel],
        **BELOW,
    )
    theorem.conclusion(
        f"{name} >= {ANGLE[kernel]}",
        bound=part.least[kernel],
        on=ALL,
        uses=(f"{name} >= sum_p", part.tails[kernel], "binom(2j", "cos(theta) <="),
        **LEAST[kernel],
        **ABOVE,
    )
    for end, options in (("lower", ABOVE), ("upper", BELOW)):
        for key, samples, far in (("printed", "where an eigenvalue takes too much memory, n <= 2048", {}), BEYOND):
            theorem.conclusion(
                f"K_{kernel}: the {end} end that is printed {samples}",
                bound=quantity(f"{key}_{end}", kernel, functools.partial(AnglesRun.printed, end=end, **far)),
                on=(*ALL, OPPOSITE),
                uses=f"{name} {'>= sum_p' if end == 'lower' else '<= 1/2'}",
                attained=True,  # by two samples
                **LEAST[kernel],
                **options,
            )
theorem.conclusion(
    "lambda_0 <= phi/(2 pi) + phi^2/4, phi the smallest angle between two samples",
    bound=phi / (2 * pi) + phi**2 / 4,
    on=ALL,
    uses=("1/2 - K_0", "lambda_0 <= 1/2"),
    **LEAST[0],
    **BELOW,
)


def product(run, ends):
    """Of Lambda, from ends of the four factors."""
    (u_0, u_1), (y_0, y_1) = ([ends(kernel, queries=q) for kernel in (0, 1)] for q in (False, True))
    return u_1 * y_0 + u_0 * y_1


theorem.conclusion(
    "Lambda of an operator is at least what its factors' lower bounds give",
    of="Lambda",
    bound=theorem.quantity("product_lower", lambda run: product(run, run.lower)),
    on=OPERATOR,
    assumes="unit samples",
    uses=("lambda_0 >= sum_p", "lambda_min(K_1) >= sum_p"),
    **ABOVE,
)
theorem.conclusion(
    "and at most what their upper bounds give",
    of="Lambda",
    bound=theorem.quantity("product_upper", lambda run: product(run, run.upper)),
    on=OPERATOR,
    assumes="unit samples",
    attained=True,  # by two functions and two queries
    uses=("lambda_0 <= 1/2", "lambda_min(K_1) <= 1/2"),
    **BELOW,
)

# ---- controls -----------------------------------------------------------------------------------------------------

theorem.control("lambda_0 >= three times the bound by one angle", bound=3 * part.least[0], on=PAIR, **LEAST[0], **ABOVE)
theorem.control("lambda_0 <= phi/(2 pi), without phi^2/4", bound=phi / (2 * pi), on=PAIR, **LEAST[0], **BELOW)
theorem.control("K_1 is as good as K_0: lambda_min(K_1) >= theta/50", bound=theta / 50, on=CLOSE, **LEAST[1], **ABOVE)
theorem.control(
    "lambda_min(K_1) is of the order of theta^2 whatever the samples: >= theta^2/100",
    bound=theta**2 / 100,
    on=ROW,
    **LEAST[1],
    **ABOVE,
)
thousandth = theorem.quantity("share", lambda run: run.least(0) / 1000)
theorem.control(
    "the bound term by term is at least lambda_0/1000",
    of=lambda run: run.lower(0),
    bound=thousandth,
    on=OPPOSITE,
    **ABOVE,
)
theorem.control(
    "K_0: the lower end that is printed beyond 2048 samples is at least lambda_0/1000",
    of=lambda run: run.printed(0, "lower", pairwise=0),
    bound=thousandth,
    on=OPPOSITE,
    **ABOVE,
)
