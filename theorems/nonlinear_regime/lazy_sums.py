r"""In training the kernel K_Phi of the sums hardly moves, whatever the residual: linear or nonlinear.

Network     u(x) = m^(-1/2) sum_l a_l sigma(u_l x + v_l) + c on the line, sine, every weight standard normal and trained
Lemma C.3   if every Hessian of the S sums is at most eps on a segment of length R,
            ||J' - J|| <= sqrt(S) eps R   and   ||K' - K|| <= ||J' - J|| (||J'|| + ||J||)     (upper; K_Phi = J J^T)
Energy      along gradient flow ||theta(t) - theta(0)|| <= sqrt(t (L(0) - L(t)))     (reached as t -> 0)
Order       sup_t ||K_Phi(t) - K_Phi(0)|| of the order of 1/m, for u_x and for u u_x alike; Lemma C.3 gives m^(-1/2), by
            the triangle inequality, but what each neuron adds is odd in its a_l, and m of them add up to sqrt(m) only;
            K of a nonlinear residual moves by the order of 1, for the slopes of the residual do

Lemmas C.3 and C.4 of arXiv 2402.03864. C.4 is stated for linear equations and used for nonlinear ones, under an
integral bound of Phi[u]; the energy bound gives R <= sqrt(T L(0)) for any R and needs no such assumption. Derived here.
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Source, Theorem, always, scales_as
from ntkverify.instances import generator
from ntkverify.lemmas.nonlinear.jet_hessian import A, U, X, block_bound
from ntkverify.measures.hessian import residual_hessian
from ntkverify.problems.nonlinear.equations import first_derivative, second_derivative, self_advected
from ntkverify.problems.nonlinear.flows import flow
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "The kernel of the sums is lazy for any residual",
    source=Source(arxiv="2402.03864", version=3, where="Lemmas C.3, C.4", provenance="derived"),
    statement=r"""
        $\sup_{t\le T}\|K_\Phi(t)-K_\Phi(0)\| \to 0$ in probability, for any residual with $L(0) = O_P(1)$.
    """,
)
theorem.erratum(
    "Lemma C.3's proof adds where it takes a maximum; its bound max(k N_r, N_b) eps R is true all the same unless "
    "k N_r = N_b = 1, and sqrt(k N_r + N_b) eps R is the sharper form."
)
theorem.erratum(
    "Lemma C.4 assumes a linear equation and is used for nonlinear ones; the energy bound makes that right."
)

# ---- Lemma C.3: from the start to weights a given distance away ------------------------------------------------------

PER_NEURON = [sympy.lambdify((U, A, X), block_bound(get_activation("sin"), i), "numpy") for i in (0, 1)]


class MovedRun(FullNetworkRun):
    """The sums of u u_x at two points and of u at one; the weights go the distance ``radius`` in a random direction.

    With ``alone`` the largest neuron goes alone, in the direction in which it changes the rows of J most.
    """

    @property
    def ends(self):
        """The weights at both ends."""
        direction = np.random.default_rng(self.instance.seed).standard_normal(self._drawn[0].shape)
        if self.instance.parameters["alone"]:
            drawn = self._drawn[0]
            largest = np.linalg.norm(drawn, axis=1).argmax()
            executor, total = self.plain.sum_executor, self.sum_samples.total
            blocks = np.array([residual_hessian(executor, drawn[[largest]], None, i).blocks[0] for i in range(total)])
            direction[:] = 0
            direction[largest] = np.linalg.eigh((blocks @ blocks).sum(axis=0))[1][:, -1]
        # a distance of 2^-20 less than the radius, for what the division rounds
        direction *= self.instance.parameters["radius"] / np.linalg.norm(direction) * (1 - 2.0**-20)
        return self.weights, self.weights + self.numbers(direction)

    def _sum_jacobian(self, weights):
        executor = self.sum_executor
        return self.numbers(executor.to_host(executor.jacobian(self._moved(executor, weights))))

    @functools.cached_property
    def jacobians(self):
        """d_theta Phi at both ends, (S, 4 m)."""
        return [self._sum_jacobian(weights) for weights in self.ends]

    @property
    def epsilon(self):
        """A bound of every sum's Hessian on the whole segment, on which no weight exceeds the larger of its ends."""
        names = [str(w) for w in self.neuron.weights]
        ends = [np.abs(np.asarray(self.plain.ends[k], float)) for k in (0, 1)]
        inner, outer = (np.maximum(*(end[:, names.index(name)] for end in ends)) for name in ("w_0", "a"))
        points = np.abs(self.instance.array("interior")[:, 0]), np.abs(self.instance.array("boundary")[:, 0])
        bounds = [PER_NEURON[i](inner[:, None], outer[:, None], x).max() for i, x in ((0, points[0]), (1, points[0]))]
        bounds.append(PER_NEURON[0](inner[:, None], outer[:, None], points[1]).max())
        return self.number(float(max(bounds)) * (1 + 2.0**-40)) / np.sqrt(self.m)

    @property
    def sums(self):
        """S, the number of sums."""
        return self.number(len(self.jacobians[0]))

    @property
    def change(self):
        """||J' - J||."""
        return np.linalg.norm(self.jacobians[1] - self.jacobians[0], 2)


@theorem.instances("moved", run=full_network(self_advected, activation="sin", kind=MovedRun), quick=80)
def moved(draw):
    rng, apart = generator(draw), draw(st.sampled_from([0.01, 1.0]))
    points = rng.uniform(-1, 1) + apart * rng.uniform(-1, 1, (3, 1))
    radius = draw(st.sampled_from([0.01, 0.3, 3.0]))
    width, alone = 2 ** draw(st.sampled_from([0, 2, 4, 8, 14])), draw(st.sampled_from([0, 1]))
    data = {"interior": points[:2], "boundary": points[2:]}
    return Instance(data=data, width=width, parameters={"radius": radius, "alone": alone})


radius, epsilon, sums, change, size = sympy.symbols("radius epsilon sums change size", positive=True)


@theorem.lemma("||J' - J|| <= sqrt(S) eps R", holds=always, bound=sqrt(sums) * epsilon * radius, on="moved")
def jacobian_change(run):
    return run.change


theorem.quantity("size", lambda run: sum(np.linalg.norm(rows, 2) for rows in run.jacobians))


@theorem.lemma("||K' - K|| <= ||J' - J|| (||J'|| + ||J||)", holds=always, bound=change * size, on="moved")
def kernel_change(run):
    one, other = (rows @ rows.T for rows in run.jacobians)
    return np.linalg.norm(other - one, 2)


one, other = sympy.symbols("a b", positive=True)
WHOLE = {"holds": always, "bound": 1, "of": sqrt(one + other) / sympy.Max(one, other)}
FROM_ONE = dict.fromkeys((one, other), sympy.Interval(1, sympy.oo))
theorem.lemma(
    "the printed bound: sqrt(a + b) <= max(a, b) for all a, b from 1 on, one of them at least 2",
    over=FROM_ONE,
    given=sympy.Ge(sympy.Max(one, other), 2, evaluate=False),
    **WHOLE,
)
theorem.control("the printed bound with k N_r = N_b = 1", over=FROM_ONE, **WHOLE)


# ---- the energy bound -----------------------------------------------------------------------------------------------


def flowing(draw):
    points = generator(draw).uniform(-1, 1, (3, 1))
    data = {
        "interior": points[:2],
        "boundary": points[2:],
        "boundary_target": [draw(st.sampled_from([-4.0, -1.0, 0.0, 1.0]))],
    }
    return Instance(data=data, width=2 ** draw(st.integers(4, 7)), steps=8, parameters={"time": 0.5})


theorem.instances("flow, u u_x", run=flow(self_advected), quick=12)(flowing)
theorem.instances("flow, u_xx", run=flow(second_derivative), quick=12)(flowing)
FLOWS = ("flow, u u_x", "flow, u_xx")
reach = theorem.quantity("reach", lambda run: np.sqrt(run.time * np.maximum(run.losses[0] - run.losses, 0)))


def tolerance(run):
    """What a thousand times the integrator's local tolerance leaves of a distance."""
    return 1000 * run.rtol * (1 + run.path)


@theorem.conclusion(
    "||theta(t) - theta(0)|| <= sqrt(t (L(0) - L(t))) along gradient flow",
    holds=always,
    bound=reach,
    on=FLOWS,
    error=tolerance,
    attained=True,
)
def energy(run):
    return run.path


@theorem.control("the same with half of the time", holds=always, bound=reach / sqrt(2), on=FLOWS, error=tolerance)
def half_the_time(run):
    return run.path


# ---- laziness -----------------------------------------------------------------------------------------------------


def rung(draw):
    data = {"interior": [[0.3], [-0.7]], "boundary": [[1.0]], "interior_target": [1.0, -1.0]}
    return Instance(data=data, width=2 ** draw(st.sampled_from([6, 7, 10, 11])), step=0.01, steps=4)


def lazy(equation):
    return full_network(equation, activation="sin", kernels=True)


theorem.instances("widths, u_x", run=lazy(first_derivative), quick=170)(rung)
theorem.instances("widths, u u_x", run=lazy(self_advected), quick=170)(rung)


def sums_moved(run):
    """max_k ||K_Phi(k) - K_Phi(0)||_F over the distance that the weights went."""
    grams = run.trajectory.sum_kernels
    return np.linalg.norm(grams - grams[0], axis=(1, 2)).max() / run.path[-1]


for equation in ("u_x", "u u_x"):
    theorem.conclusion(
        f"{equation}: max_k ||K_Phi(k) - K_Phi(0)||_F over the distance shrinks like 1/m",
        holds=scales_as(-1, tolerance=0.25),
        on=f"widths, {equation}",
    )(sums_moved)

theorem.control(
    "u u_x: it shrinks like m^(-1/2), the order of Lemma C.3's bound",
    holds=scales_as(-0.5, tolerance=0.1),
    on="widths, u u_x",
)(sums_moved)


def kernel_moved(run):
    """max_k ||K(k) - K(0)||_F over the distance that the weights went."""
    kernels = run.kernels_along
    return np.linalg.norm(kernels - kernels[0], axis=(1, 2)).max() / run.path[-1]


theorem.lemma(
    "u u_x: max_k ||K(k) - K(0)||_F over the distance neither grows nor shrinks with m",
    holds=scales_as(0, tolerance=0.25),
    on="widths, u u_x",
)(kernel_moved)
theorem.control(
    "u u_x: K is as lazy as K_Phi: max_k ||K(k) - K(0)||_F over the distance shrinks like 1/m",
    holds=scales_as(-1, tolerance=0.25),
    on="widths, u u_x",
)(kernel_moved)
