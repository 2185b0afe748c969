r"""The kernel of a nonlinear residual moves in training, at every width, by a law that is known at one point.

Network     u(x) = m^(-1/2) sum_j a_j sigma(w_j x + b_j) + c, tanh, every weight standard normal and trained, L = r^2/2
r = u^2     infinite width: u+ = u (1 - eta K/2), K+ = K (1 - eta K/2)^2; as eta -> 0, K(t) = K(0)/(1 + K(0) t): the
            loss decays like a power of t, not exponentially
r = u^2 - f y = u^2: y+ = y (1 - 2 eta Theta (y - f))^2, K = 4 Theta y; y(t) = f/(1 + (f/y(0) - 1) exp(-4 Theta f t))
Width m     the recursions hold up to the order 1/m, with Theta and K(0) those of the network
Guarantee   ||K(T) - K(0)||/||K(0)|| stays away from 0 as m grows, where that of a linear residual goes to 0

Proposition 3.5 of arXiv 2402.03864 asserts the movement under a strong hypothesis, convergence to a solution in C^k by
a fixed time; its "almost surely" is about the limiting random variable. The laws at one point are derived here, the
constants of 1/m are measured.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import Source, Theorem, identity, scales_as, with_probability
from ntkverify.glossary import m
from ntkverify.problems.nonlinear.equations import first_derivative, square
from ntkverify.problems.nonlinear.full_network import full_network
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "The kernel of a nonlinear residual moves",
    source=Source(arxiv="2402.03864", version=3, where="Proposition 3.5", provenance="derived"),
    statement=r"""
        $\lim_m \sup_{t\le T}\|K(t)-K(0)\| > 0$; for $r = u^2$ at one point $K(t) = K(0)/(1+K(0)t)$.
    """,
)
theorem.erratum(
    "Proposition 3.5: 'f is not identically 0' needs Lemma N (nondegeneracy.py), and its limit is one in law, not a.s."
)

t = sympy.symbols("t", positive=True)
k_0, theta, y_0, f = sympy.symbols("K_0 Theta y_0 f", positive=True)

# ---- instances ----------------------------------------------------------------------------------------------------


def one_point(width, *, step, steps, target=0.0):
    data = {"interior": [[0.5]], "interior_target": [target]}
    return lambda: Instance(data=data, width=width, step=step, steps=steps)


def trained(equation):
    return full_network(equation, boundary=False, loss="sum")


for width in (64, 1024):
    theorem.instances(f"{width} neurons, u^2", run=trained(square), quick=100)(one_point(width, step=0.03, steps=20))
    theorem.instances(f"{width} neurons, u^2 - 1", run=trained(square), quick=100)(
        one_point(width, step=0.02, steps=12, target=1.0)
    )
theorem.instances("1024 neurons, u_x", run=trained(first_derivative), quick=20)(one_point(1024, step=0.03, steps=20))


@theorem.instances("widths, u^2, six points", run=full_network(square, boundary=False), quick=130)
def six_points(draw):
    points = [[-2.0], [-1.2], [-0.4], [0.4], [1.2], [2.0]]
    return Instance(data={"interior": points}, width=2 ** draw(st.sampled_from([5, 6, 9, 10])), step=0.015, steps=20)


# ---- infinite width -----------------------------------------------------------------------------------------------


@theorem.lemma("u^2: K(t) = K(0)/(1 + K(0) t) solves K' = -K^2", holds=identity)
def power_law():
    kernel = k_0 / (1 + k_0 * t)
    return sympy.Matrix([sympy.diff(kernel, t), kernel.subs(t, 0)]), sympy.Matrix([-(kernel**2), k_0])


@theorem.lemma("u^2 - f: the logistic law solves y' = 4 Theta y (f - y)", holds=identity)
def logistic():
    y = f / (1 + (f / y_0 - 1) * sympy.exp(-4 * theta * f * t))
    return sympy.Matrix([sympy.diff(y, t), y.subs(t, 0)]), sympy.Matrix([4 * theta * y * (f - y), y_0])


@theorem.lemma("the recursions are u+ = u - eta Theta dL/du, seen by K = 4 Theta u^2", holds=identity)
def recursions():
    u, eta = sympy.symbols("u eta", positive=True)
    moved = [u - eta * theta * sympy.diff((u**2 - g) ** 2 / 2, u) for g in (0, f)]
    kernel = 4 * theta * u**2
    wanted = [kernel * (1 - eta * kernel / 2) ** 2, kernel * (1 - 2 * eta * theta * (u**2 - f)) ** 2]
    return sympy.Matrix([sympy.expand(4 * theta * v**2) for v in moved]), sympy.Matrix(wanted).expand()


# ---- width m ------------------------------------------------------------------------------------------------------


def kernels(run):
    """K(k), (K+1,)."""
    return run.trajectory.grams[:, 0, 0]


def departure(run):
    """max_k |K(k) - recursion|/K(0), the recursion from the network's own K(0) and Theta."""
    own, target = run.start.sum_kernel[0, 0], run.instance.array("interior_target")[0]
    followed = [kernels(run)[0]]
    for _ in range(run.steps):
        followed.append(followed[-1] * (1 - 2 * run.eta * own * (followed[-1] / (4 * own) - target)) ** 2)
    return np.abs(kernels(run) - run.numbers(followed)).max() / kernels(run)[0]


def moved(run):
    """|K(T) - K(0)|/K(0)."""
    return abs(kernels(run)[-1] / kernels(run)[0] - 1)


likely = with_probability(Rational(4, 5))
usual = with_probability(Rational(7, 10))
for width in ("64 neurons", "1024 neurons"):
    for name, within in (("u^2", 1 / (8 * m)), ("u^2 - 1", 1 / m)):
        theorem.conclusion(
            f"{width}, {name}: K(k) is within {within} of the infinite width's recursion, with probability 4/5",
            holds=likely,
            bound=within,
            on=f"{width}, {name}",
        )(departure)
    theorem.conclusion(
        f"{width}, u^2: K has lost a quarter by T = 0.6, with probability 7/10",
        holds=usual,
        bound=Rational(1, 4),
        from_below=True,
        on=f"{width}, u^2",
    )(moved)

theorem.control(
    "1024 neurons, u_x: K has moved by a quarter by T = 0.6, with probability 7/10",
    holds=usual,
    bound=Rational(1, 4),
    from_below=True,
    on="1024 neurons, u_x",
)(moved)

theorem.control(
    "1024 neurons, u^2: K(k) is within 1/(100 m) of the recursion, with probability 4/5",
    holds=likely,
    bound=1 / (100 * m),
    on="1024 neurons, u^2",
)(departure)


def all_moved(run):
    """||K(T) - K(0)||_F/||K(0)||_F."""
    kernels = run.trajectory.grams
    return np.linalg.norm(kernels[-1] - kernels[0]) / np.linalg.norm(kernels[0])


SIX = "widths, u^2, six points"
theorem.conclusion(
    "u^2: ||K(T) - K(0)||/||K(0)|| neither grows nor shrinks with m", holds=scales_as(0, tolerance=0.25), on=SIX
)(all_moved)
theorem.control("u^2: ||K(T) - K(0)||/||K(0)|| shrinks like m^(-1/2)", holds=scales_as(-0.5, tolerance=0.1), on=SIX)(
    all_moved
)
