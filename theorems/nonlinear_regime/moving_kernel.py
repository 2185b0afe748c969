r"""The kernel of a nonlinear residual moves in training, at every width, by a law that is known at one point.

Network     u(x) = m^(-1/2) sum_j a_j sigma(w_j x + b_j) + c, tanh, every weight standard normal and trained, L = r^2/2
r = u^2     infinite width: u+ = u (1 - eta K/2), K+ = K (1 - eta K/2)^2; as eta -> 0, K(t) = K(0)/(1 + K(0) t): the
            loss decays like a power of t, not exponentially
r = u^2 - f y = u^2: y+ = y (1 - 2 eta Theta (y - f))^2, K = 4 Theta y; y(t) = f/(1 + (f/y(0) - 1) exp(-4 Theta f t))
Width m     m (K(k) - recursion)/K(0) has a limit law: that of the path with g.H g, |H g|^2 and D3[g, g, g] of one more
            neuron's order, g, H, D3 the derivatives of u in the weights; the recursion with Theta and K(0) of the
            network, and eta K(0) <= 2: beyond, steps overshoot, and from 4 on they diverge at every width
Guarantee   ||K(T) - K(0)||/||K(0)|| stays away from 0 as m grows, where that of a linear residual goes to 0

Proposition 3.5 of arXiv 2402.03864 asserts the movement under a strong hypothesis, convergence to a solution in C^k by
a fixed time; its "almost surely" is about the limiting random variable. The laws at one point are derived here. How
fast those at width m tend to them is not claimed: 4096 networks exclude distances above 0.1 and hide small ones.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, identity, in_law_of, scales_as
from ntkverify.lemmas.nonlinear.first_order import follow_path, path_limits
from ntkverify.problems.nonlinear.batch import batch
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

# ---- instances: each a batch of networks at the point 1/2 ---------------------------------------------------------


def networks(width, *, step, steps, target=0.0, count=4096):
    data = {"interior": [[0.5]], "interior_target": [target]}
    return lambda: Instance(data=data, width=width, step=step, steps=steps, parameters={"networks": count})


def trained(equation):
    return batch(equation, boundary=False, loss="sum")


PLAIN, SHIFTED, LINEAR = "u^2", "u^2 - 1", "u_x"
theorem.instances(PLAIN, run=trained(square), quick=1)(networks(1024, step=0.03, steps=20))
theorem.instances(SHIFTED, run=trained(square), quick=1)(networks(1024, step=0.02, steps=12, target=1.0))
theorem.instances(LINEAR, run=trained(first_derivative), quick=1)(networks(256, step=0.03, steps=20, count=128))


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


# ---- the law at width m -------------------------------------------------------------------------------------------


def path(run, square_0, kernel, *, bend=0, turn=0, third=0):
    """K(T)/K(0) along a path from u^2 = square_0, one entry per network."""
    target = float(run.instance.array("interior_target")[0])
    found, now = follow_path(
        np.sqrt(square_0), kernel, lambda u: 2 * u * (u**2 - target), eta=float(run.instance.step), steps=run.steps,
        bend=bend, turn=turn, third=third,
    )  # fmt: skip
    return now * found**2 / (kernel * square_0)


def stable(run, kernels):
    """Where eta K(0) <= 2: no step changes the sign of u."""
    return float(run.instance.step) * kernels <= 2


def measured(run):
    """K(0), u(0)^2 and K(T)/K(0) of the networks that are stable."""
    residuals, kernels, last = (np.asarray(values, float) for values in run.paths)
    kept = stable(run, kernels)
    squares = residuals[:, 0] + run.instance.array("interior_target")[0]
    return kernels[kept], squares[kept], last[kept] / kernels[kept]


def departures(run):
    """m (K(T) - recursion)/K(0), the recursion from the network's own K(0) and Theta."""
    kernels, squares, ratios = measured(run)
    return run.instance.width * (ratios - path(run, squares, kernels / (4 * squares)))


def drawn(run, count=50_000):
    """The limits at the point, and draws of u(0)^2 and of m g.H g sign(u) that are stable."""
    limits = path_limits("tanh", 0.25)
    field, bend = limits.draw(count, [run.instance.seed, 1])
    kept = stable(run, 4 * limits.kernel * field**2)
    return limits, field[kept] ** 2, (bend * np.sign(field))[kept]


def law_of_departures(share=1, third=1):
    """What follows for them; `share` of all, and of the third derivatives besides."""

    def law(run):
        limits, squares, bend = drawn(run)
        orders = {"bend": bend, "turn": limits.turn, "third": third * limits.third}
        width = run.instance.width
        moved = path(run, squares, limits.kernel, **{name: share * v / width for name, v in orders.items()})
        return width * (moved - path(run, squares, limits.kernel))

    return law


def law_of_ratios(run):
    """K(T)/K(0) of the infinite width, K(0) = 4 Theta S chi^2_1."""
    limits, squares, _ = drawn(run)
    return path(run, squares, limits.kernel)


def half_way(run):
    """The same for a step half as long."""
    limits, squares, _ = drawn(run)
    return path(run, squares, limits.kernel / 2)


def follows(law, name):
    return in_law_of(law, within=0, resolution=0.1, name=name)


first_order = follows(law_of_departures(), "first order in 1/m")
for name in (PLAIN, SHIFTED):
    title = f"{name}: m (K(T) - recursion)/K(0) follows the law of first order"
    theorem.conclusion(title, holds=first_order, on=name)(departures)
    title = f"{name}: K(T)/K(0) follows the recursion from 4 Theta S chi^2_1"
    theorem.conclusion(title, holds=follows(law_of_ratios, "the infinite width"), on=name)(lambda run: measured(run)[2])
    title = f"{name}: m (K(T) - recursion)/K(0) follows half of it"
    theorem.control(title, holds=follows(law_of_departures(share=0.5), "half of it"), on=name)(departures)

theorem.control(
    "u^2: m (K(T) - recursion)/K(0) follows the law without third derivatives",
    holds=follows(law_of_departures(third=0), "second derivatives alone"),
    on=PLAIN,
)(departures)
theorem.control(
    "u^2: K(T)/K(0) follows the recursion of half the step", holds=follows(half_way, "half the step"), on=PLAIN
)(lambda run: measured(run)[2])


@theorem.control(
    "u_x: K(T)/K(0) follows the recursion of u^2", holds=follows(law_of_ratios, "the infinite width"), on=LINEAR
)
def linear_ratios(run):
    _, first, last = run.paths
    return np.asarray(last / first, float)


# ---- several points -----------------------------------------------------------------------------------------------


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
