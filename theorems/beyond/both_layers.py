r"""Gradient descent on both layers of a smooth network, by a Polyak-Lojasiewicz inequality in a ball.

Network     f(x) = m^(-1/2) sum_r a_r tanh(w_r . x), all weights trained, X the inputs, J the Jacobian of the residuals
Start       mu = sigma_min(tanh(W X))/sqrt(m), nu^2 = sigma_max(tanh(W X))^2/m + (s_1 ||X|| ||a||)^2/m
Smoothness  ||J(theta) - J(theta')|| <= beta ||theta - theta'||, beta = (q + sqrt(q^2 + 4 p^2))/(2 sqrt(m)),
            p = s_1 ||X||, q = s_2 ||X||^2 (max_r |a_r(0)| + 1), s_i = sup |tanh^(i)|, while no a_r moves further than 1
            (each part is reached)
Lemma 1     within mu/(2 beta): mu/2 <= sigma(J) <= nu + mu/2  (both ends are reached)
Guarantee   if ||r(0)|| <= min(mu^2/(8 beta), mu^2 sqrt(m/n)/8) and eta ((nu + mu/2)^2 + mu^2/8) <= 1, for all k:
            L(k) <= (1 - eta mu^2/4)^k L(0), and the way is at most 4 ||r(0)||/mu <= mu/(2 beta) long  (upper)

The scheme of arXiv 2111.01875 (NeurIPS 2021): Lemma 1, Theorem 2 and Lemma 3, in the form in which they were read; the
constants are derived here. Its Theorem 2 asks for L(0) of the order of mu^6/(beta^2 nu^2); the length of the way, by
||r(k)|| - ||r(k+1)|| >= mu/4 times a step's, asks for mu^4/(128 beta^2) only. A single weight, f = beta w^2/2, has no
solution where ||r(0)|| > mu^2/(2 beta): 8 is at most four times too large. As Lemma 3 was read, with its chi undefined,
beta needs ||X||^2 where it has ||X|| if chi is the outer weights alone; and a step like Theorem 2's, of the order of
mu^2/(beta ||grad f|| + beta mu^2 + nu^2), does not fall with c for f = c w, where 2/c^2 is the limit of stability.
"""

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import sqrt

from ntkverify import Instance, Source, Theorem, always, with_probability
from ntkverify.glossary import delta, m, n
from ntkverify.instances import families, generator, unit_inputs
from ntkverify.lemmas.nonlinear.both_layers import BothLayersRun, MovedRun
from ntkverify.lemmas.nonlinear.polyak_lojasiewicz import EVERY, PolyakLojasiewicz, mu
from ntkverify.lemmas.suprema import Suprema
from ntkverify.symbolic.constants.derived import derived

theorem = Theorem(
    "Gradient descent on both layers, by Polyak-Lojasiewicz",
    source=Source(arxiv="2111.01875", version=1, where="Lemmas 1 and 3, Theorem 2", provenance="derived"),
    statement=r"""
        Let $\|r(0)\| \le \min(\mu^2/(8\beta), \mu^2\sqrt{m/n}/8)$ and $\eta\,((\nu + \mu/2)^2 + \mu^2/8) \le 1$. Then
        for all $k$: $L(k) \le (1 - \eta\mu^2/4)^k L(0)$ and $\sum_k\|\theta(k+1) - \theta(k)\| \le 4\|r(0)\|/\mu$.
    """,
)

# ---- constants ----------------------------------------------------------------------------------------------------

nu_outer, data_norm, outer_norm, chi = sympy.symbols("nu_outer data_norm outer_norm chi", positive=True)
suprema = Suprema(theorem, "tanh", (1, 2))
for name, measure in {
    "mu": lambda run: run.outer_spectrum[0],
    "nu_outer": lambda run: run.outer_spectrum[-1],
    "data_norm": lambda run: np.linalg.norm(run.inputs, 2),
    "outer_norm": lambda run: np.linalg.norm(run.outer_weights),
}.items():
    theorem.quantity(name, measure)


# the second derivative of a neuron is ((q, p), (p, 0)) at the most, outer weights up to chi
p, q = suprema[1] * data_norm, suprema[2] * data_norm**2 * chi
nu = theorem.constant(
    "nu",
    derived(sqrt(nu_outer**2 + (suprema[1] * data_norm * outer_norm) ** 2 / m), "||J||^2 <= ||J_a||^2 + ||J_w||^2"),
    "||J(0)|| <= nu",
)
beta = theorem.constant(
    "beta",
    derived((q + sqrt(q**2 + 4 * p**2)) / (2 * sqrt(m)), "the largest eigenvalue of ((q, p), (p, 0))"),
    "J is beta-Lipschitz",
)
# |tanh| <= 1: a_r moves by eta sqrt(n/m) ||r|| a step
descent = PolyakLojasiewicz(theorem, nu=nu, beta=beta, moves=(sqrt(n / m),))
theorem.declare(data={"inputs": ("n", "d"), "start": ("n",)})

# ---- instances ----------------------------------------------------------------------------------------------------


def training(draw, *, width, **parameters):
    size = draw(st.integers(2, 3))
    start = generator(draw).standard_normal(size)
    given = {"fraction": draw(st.sampled_from([0.3, 1 - 1e-6])), "speed": draw(st.sampled_from([0.3, 1.0]))}
    length = draw(st.sampled_from([0.5, 1.0, 2.0]))
    data = {"inputs": length * unit_inputs(draw, size, 3), "start": start}
    return Instance(data=data, parameters={**given, **parameters}, width=width, steps=16)


def moved_neuron(draw):
    """One input: at rest the outer part of beta is reached, bent the inner one; inputs of length 1 and 4."""
    rest = {"outer": 0.0, "bend": 0.0, "turn": np.pi / 4}
    bent = {"outer": draw(st.sampled_from([1.0, 5.0])), "bend": float(sympy.atanh(1 / sqrt(3))), "turn": 0.0}
    given = draw(st.sampled_from([rest, bent]))
    inputs = draw(st.sampled_from([1.0, 4.0])) * unit_inputs(draw, draw(st.integers(1, 2)), 2)
    width = draw(st.sampled_from([1, 4]))
    return moved(inputs, width=width, moved=1.0, length=2.0**-10, **given)


def all_moved(draw):
    """All neurons at once: from rest, where beta is reached, or as drawn, at random or each in its worst direction."""
    rest = {"moved": 16.0, "outer": 0.0, "bend": 0.0, "turn": np.pi / 4}
    given = draw(st.sampled_from([rest, {"moved": 0.0, "worst": 1.0}, {"moved": 0.0, "worst": 0.0}]))
    inputs = draw(st.sampled_from([1.0, 4.0])) * unit_inputs(draw, draw(st.integers(1, 2)), 2)
    return moved(inputs, width=16, length=draw(st.sampled_from([2.0**-10, 1.0])), **given)


def moved(inputs, *, width, **parameters):
    return Instance(data={"inputs": inputs, "start": np.ones(len(inputs))}, parameters=parameters, width=width)


TRAINING, UNSCALED = "training", "neurons, two orthonormal inputs, r(0) = (1, 1)"
WIDE, NARROW = f"4096 {UNSCALED}", f"512 {UNSCALED}"
MOVED, ALL = "one neuron moves", "all neurons move"
theorem.instances(TRAINING, run=BothLayersRun, quick=24)(families.family(training, power=st.integers(4, 8)))
theorem.instances(MOVED, run=MovedRun, quick=40)(moved_neuron)
theorem.instances(ALL, run=MovedRun, quick=40)(all_moved)


def unscaled(width):
    """Two orthonormal inputs and r(0) = (1, 1)."""
    data, parameters = {"inputs": np.eye(2), "start": np.ones(2)}, {"size": 2**0.5, "speed": 1.0, "delta": 0.25}
    return lambda: Instance(data=data, parameters=parameters, width=width, steps=64)


theorem.instances(WIDE, run=BothLayersRun, quick=40)(unscaled(4096))
theorem.instances(NARROW, run=BothLayersRun, quick=40)(unscaled(512))

# ---- smoothness and spectrum --------------------------------------------------------------------------------------

suprema.reached()
SLOPE = {"of": "slope", "holds": always, "assumes": (), "on": MOVED, "error": lambda run: run.slope_error}
theorem.lemma(
    "||J' - J|| <= beta ||theta' - theta||, outer weights up to chi",
    bound=beta,
    uses=("|tanh^(1)|", "|tanh^(2)|"),
    **SLOPE,
)
theorem.control("beta without the outer weights: s_1 ||X||/sqrt(m)", bound=p / sqrt(m), **SLOPE)
theorem.control("beta without the inner weights: s_2 ||X||^2 chi/sqrt(m)", bound=q / sqrt(m), **SLOPE)
theorem.control(
    "as in Lemma 3, chi the outer weights: sqrt(2) ||X|| (s_1 + s_2 chi)/sqrt(m)",
    bound=sqrt(2) * (p + q / data_norm) / sqrt(m),
    **SLOPE,
)
TOGETHER = {**SLOPE, "on": ALL}
theorem.lemma(
    "||J' - J|| <= beta ||theta' - theta|| where all neurons move at once",
    bound=beta,
    uses="||J' - J|| <= beta ||theta' - theta||, outer",
    **TOGETHER,
)
theorem.control("what many neurons change averages out: beta/sqrt(m)", bound=beta / sqrt(m), **TOGETHER)
START = {"holds": always, "assumes": (), "on": TRAINING}
theorem.lemma("Lemma 3: sigma_min(J(0)) >= mu", of=lambda run: run.spectrum[0], bound=mu, from_below=True, **START)
theorem.lemma("Lemma 3: sigma_max(J(0)) <= nu", of=lambda run: run.spectrum[-1], bound=nu, **START)
theorem.control(
    "sigma_max(J(0)) <= sigma_max(tanh(W X))/sqrt(m)", of=lambda run: run.spectrum[-1], bound=nu_outer, **START
)

# ---- the chain ----------------------------------------------------------------------------------------------------

descent.links()
descent.one_weight()
z = sympy.Symbol("z", real=True)
theorem.lemma("|tanh| <= 1", of=sympy.Abs(sympy.tanh(z)), holds=always, bound=1, over={z: sympy.S.Reals})
REST = ("||J' - J|| <= beta ||theta' - theta|| where all", "Lemma 3: sigma_min", "Lemma 3: sigma_max")
descent.along(on=TRAINING, given=lambda run: run.outer_drift <= 1, uses=REST)

# ---- conclusions --------------------------------------------------------------------------------------------------

descent.concluded(on=TRAINING)
theorem.conclusion(
    "no outer weight moves further than 1",
    of=lambda run: run.outer_drift,
    holds=always,
    bound=1,
    on=TRAINING,
    uses=("L(k) <= (1 - eta rate)^k L(0) for all k", "P2: eta sum", "|tanh| <= 1"),
)
c = sympy.Symbol("c", positive=True)
theorem.control(
    "a step of 1/8, Theorem 2's with a constant of ours: |1 - eta c^2| <= 1 for f = c w, whatever c",
    of=sympy.Abs(1 - c**2 / 8),
    holds=always,
    bound=1,
    over={c: EVERY},
)
SMALL = {"of": lambda run: run.size / run.allowed, "holds": with_probability(1 - delta), "bound": 1, "assumes": ()}
theorem.conclusion(f"{WIDE}: small enough for all of this", on=WIDE, **SMALL)
descent.at_width(WIDE, on=WIDE, small=f"{WIDE}: small enough for all of this")
theorem.control(f"{NARROW}: small enough for all of this", on=NARROW, **SMALL)
