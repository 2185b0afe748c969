r"""The Hessians of the sums Phi_i[u] = d^i u/dx^i vanish like 1/sqrt(m) up to powers of log m.

Network     u(x) = m^(-1/2) sum_l a_l sigma(u_l x + v_l) + c on the line, every weight standard normal
Structure   H_Phi_i(x) is block diagonal, a 3 x 3 block B_l per neuron (exact), so ||H_Phi_i(x)|| = max_l ||B_l||
Bound       ||H_Phi_i(x)|| <= m^(-1/2) max_l beta_i(|u_l|, |a_l|, |x|)   (upper, any weights)
            <= m^(-1/2) beta_i(M, M, |x|), M = sqrt(2 log(2m/delta)), with probability 1 - delta at the start
Order       m^(-1/2) (log m)^((i+1)/2): the largest |a_l| |u_l|^i among m neurons; not m^(-1/2)

Lemma E.1 of arXiv 2402.03864, O(1/sqrt(m)) under the assumption that all weights are bounded by a constant, which
Gaussian weights are not: max |N(0, 1)| grows like sqrt(2 log m).
"""

import functools

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Source, Theorem, always, identity, scales_as, with_probability
from ntkverify.glossary import delta, m
from ntkverify.instances import generator
from ntkverify.lemmas.nonlinear.jet_hessian import A, U, X, block_bound, second_derivatives
from ntkverify.problems.nonlinear.full_network import FullNetworkRun, full_network
from ntkverify.symbolic.network.activations import get_activation
from ntkverify.symbolic.network.operators import derivative
from ntkverify.symbolic.network.operators import identity as solution
from ntkverify.theorem.instance import Instance

theorem = Theorem(
    "Hessians of the sums of a wide network",
    source=Source(arxiv="2402.03864", version=3, where="Lemma E.1", provenance="derived"),
    statement=r"""
        $\|H_{\Phi_i}(x)\| = \max_l\|B_l\| \le m^{-1/2}\beta_i(M, M, |x|)$ with probability $1-\delta$,
        $M = \sqrt{2\log(2m/\delta)}$.
    """,
)
theorem.erratum(
    "Lemma E.1's O(1/sqrt(m)) needs bounded weights; at a Gaussian start the order is m^(-1/2) (log m)^((i+1)/2)."
)
theorem.erratum("The factor 9 of its proof is (d_in + 2)^2, for one input; its constant hides two more derivatives.")

ORDERS = (0, 1, 2)
SINE = get_activation("sin")
M = sympy.sqrt(2 * sympy.log(2 * m / delta))
z = sympy.Symbol("point", nonnegative=True)
bounds = [
    theorem.constant(f"beta_{i}", block_bound(SINE, i).xreplace({X: z}).subs({U: M, A: M}), f"m^(1/2) ||H_Phi_{i}||")
    for i in ORDERS
]


class JetHessianRun(FullNetworkRun):
    """u, u_x and u_xx at one point: residual number i is Phi_i."""

    @property
    def point(self):
        """|x|."""
        return abs(self.instance.array("u")[0, 0])

    def hessian_of(self, i):
        """Hessian of Phi_i, which is linear in the sums: blocks alone."""
        return self.hessian(i)

    @functools.cached_property
    def norms(self):
        """||H_Phi_i|| for i = 0, 1, 2."""
        return np.array([np.abs(np.linalg.eigvalsh(self.hessian_of(i).blocks)).max() for i in ORDERS])

    @property
    def neuron_bounds(self):
        """m^(-1/2) max_l beta_i of each neuron's own weights."""
        weights = self._drawn[0]
        names = [str(w) for w in self.neuron.weights]
        inner, outer = (np.abs(weights[:, names.index(name)]) for name in ("w_0", "a"))
        return np.array([bound(inner, outer, self.point).max() for bound in PER_NEURON]) / np.sqrt(len(weights))


PER_NEURON = [sympy.lambdify((U, A, X), block_bound(SINE, i), "numpy") for i in ORDERS]
EQUATIONS = {"u": solution, "u_x": lambda points: derivative(points, 1), "u_xx": lambda points: derivative(points, 2)}
RUN = full_network(equations=EQUATIONS, activation="sin", kind=JetHessianRun)


def at_point(draw, width, **parameters):
    x = [[generator(draw).uniform(-1.5, 1.5)]]
    return Instance(data=dict.fromkeys(EQUATIONS, x), width=width, parameters=parameters)


@theorem.instances("any width", run=RUN, quick=40)
def any_width(draw):
    return at_point(draw, 2 ** draw(st.integers(2, 8)), delta=0.1)


@theorem.instances("widths", run=RUN, quick=60)
def widths(draw):
    return Instance(data={name: [[0.5]] for name in EQUATIONS}, width=2 ** draw(st.sampled_from([5, 6, 12, 13])))


# ---- the structure ------------------------------------------------------------------------------------------------


@theorem.lemma("the blocks of u, u_x and u_xx, for any activation", holds=identity)
def blocks():
    """The Hessian of a d^i sigma(u x + v)/dx^i in (a, u, v) against the derivatives by hand."""
    a, u, v, x, t = sympy.symbols("a u v x t", real=True)
    sigma, found, wanted = sympy.Function("sigma"), [], []

    def along(f, weight, rate):
        """d/dweight of a function of the weights and of t = u x + v, which moves at that rate."""
        return sympy.diff(f, weight) + rate * sympy.diff(f, t)

    rates = {a: 0, u: x, v: 1}
    for i in ORDERS:
        feature = a * u**i * sympy.diff(sigma(t), t, i)
        at_neuron = [sympy.diff(sigma(t), t, j) for j in range(i + 3)]
        first = {p: along(feature, p, rate) for p, rate in rates.items()}
        found.append([[sympy.expand(along(first[p], q, rate)) for q, rate in rates.items()] for p in rates])
        d = second_derivatives(i, u, x, at_neuron.__getitem__)
        wanted.append([[0, d["u"], d["v"]], [d["u"], a * d["uu"], a * d["uv"]], [d["v"], a * d["uv"], a * d["vv"]]])
    return sympy.Matrix(np.vstack(found).tolist()), sympy.Matrix(np.vstack(wanted).tolist()).expand()


STEP = 2.0**-14


def differences(run):
    """(J(theta + h v) - J(theta - h v))/(2h) for h and 2h: H v, every neuron's share, (orders, m, 4)."""
    weights = run._drawn[0]
    direction = generator_of(run).standard_normal(weights.shape)
    ends = [run.jacobian_at(weights + h * direction) for h in (STEP, -STEP, 2 * STEP, -2 * STEP)]
    fine, coarse = (ends[0] - ends[1]) / (2 * STEP), (ends[2] - ends[3]) / (4 * STEP)
    return direction, fine, np.abs(coarse - fine) + 2.0**-44 * np.abs(ends[0]) / STEP + 2.0**-50 / STEP


def generator_of(run):
    return np.random.default_rng(run.instance.seed)


@theorem.lemma(
    "H_Phi_i v is the central difference of the gradient, neuron by neuron",
    holds=identity,
    on="any width",
    error=lambda run: differences(run.plain)[2].max(axis=(1, 2)),
)
def is_the_hessian(run):
    """Largest entry of the difference for each order; in float64, as differences are."""
    direction, fine, _ = differences(run.plain)
    products = [run.hessian_of(i).apply(direction.ravel()).reshape(direction.shape) for i in ORDERS]
    return np.abs(np.array(products) - fine).max(axis=(1, 2)), np.zeros(len(ORDERS))


@theorem.lemma(
    "||H_Phi_i|| = max_l ||B_l||",
    holds=identity,
    on="any width",
    error=lambda run: 2.0**-40 * run.norms.max() * np.ones(len(ORDERS)),
    given=lambda run: np.full(len(ORDERS), run.instance.width <= 64),
)
def largest_block(run):
    """Against the eigenvalues of the whole matrix."""
    whole = [np.abs(np.linalg.eigvalsh(run.hessian_of(i).dense())).max() for i in ORDERS] if run.m <= 64 else run.norms
    return np.array(whole), run.norms


# ---- the bounds ---------------------------------------------------------------------------------------------------

own_bounds = theorem.quantity("neuron_bounds", lambda run: run.neuron_bounds)


@theorem.lemma(
    "||H_Phi_i|| <= m^(-1/2) max_l beta_i(|u_l|, |a_l|, |x|)", holds=always, bound=own_bounds, on="any width"
)
def by_neuron(run):
    return run.norms


for i in ORDERS:

    @theorem.conclusion(
        f"||H_Phi_{i}|| <= m^(-1/2) beta_{i}(M, M, |x|), M = sqrt(2 log(2m/delta))",
        holds=with_probability(1 - delta),
        bound=bounds[i] / sympy.sqrt(m),
        on="any width",
    )
    def at_the_start(run, i=i):
        return run.norms[i]


@theorem.conclusion(
    "sqrt(m) ||H_u_xx||/(log m)^(3/2) neither grows nor shrinks", holds=scales_as(0, tolerance=0.15), on="widths"
)
def with_logarithm(run):
    return run.norms[2] * np.sqrt(run.instance.width) / np.log(run.instance.width) ** 1.5


@theorem.control("as printed: ||H_u_xx|| shrinks like m^(-1/2)", holds=scales_as(-0.5, tolerance=0.08), on="widths")
def without_logarithm(run):
    return run.norms[2]


@theorem.control(
    "as printed: ||H_u_xx|| <= C/sqrt(m), C the bound of neurons with weights at most 1",
    holds=always,
    bound=sympy.Symbol("unit_bound", positive=True),
    on="widths",
)
def bounded_weights(run):
    return run.norms[2]


theorem.quantity("unit_bound", lambda run: float(PER_NEURON[2](1, 1, run.point)) / np.sqrt(run.instance.width))
