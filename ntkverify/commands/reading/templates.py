"""Modules to begin a theorem of one's own with; each holds as it stands, and says where it wants to be changed."""

from __future__ import annotations

ALGEBRA = '''"""TITLE.

Change the statement, the bound and what is measured; `ntkverify check FILE` judges the claims.
"""

import numpy as np
from hypothesis import strategies as st

from ntkverify import Instance, Source, Theorem, always
from ntkverify.glossary import n
from ntkverify.instances import generator
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem(
    "TITLE",
    source=Source(provenance="derived"),
    statement=r"For $x$ with entries of modulus at most 1: $\\|x\\|^2 \\le n$.",
)
theorem.quantity("n", lambda run: len(run.x))


@theorem.assumption("entries at most 1")
def bounded(run):
    return 1 - np.abs(run.x).max()


@theorem.instances("vectors", run=AlgebraRun, quick=40)
def vectors(draw):
    size = draw(st.integers(1, 6))
    return Instance(data={"x": generator(draw).uniform(-1, 1, size)})


@theorem.conclusion("the square of the norm is at most n", holds=always, bound=n)
def norm(run):
    return run.x @ run.x


# false on purpose: a check that can't refute a falsehood is worth nothing
@theorem.control("the square of the norm is at most n/4", holds=always, bound=n / 4)
def too_small(run):
    return run.x @ run.x
'''

START = '''"""TITLE: at the start a network's residual is moderate, by Markov's inequality.

Change the statement, the bound and what is measured; `ntkverify check FILE` judges the claims.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, Source, Theorem, with_probability
from ntkverify.glossary import delta, n
from ntkverify.instances import bounded_targets, unit_inputs
from ntkverify.lemmas.relu.outputs import InitialOutputs
from ntkverify.problems.regression import RegressionRun

theorem = Theorem(
    "TITLE",
    source=Source(provenance="derived"),
    statement=r"""
        For unit inputs and $|y_i| \\le 1$: $\\|r(0)\\|^2 \\le n (1 + E\\,relu(g)^2) / \\delta$
        with probability $1-\\delta$.
    """,
)

# constants are derived, not typed
g = sympy.Symbol("g", real=True)
density = sympy.exp(-(g**2) / 2) / sympy.sqrt(2 * sympy.pi)
second_moment = theorem.constant("second_moment", sympy.integrate(g**2 * density, (g, 0, sympy.oo)), "E relu(g)^2")


@theorem.assumption("targets at most 1")
def targets_bounded(run):
    return 1 - np.abs(run.targets).max()


@theorem.instances("any width", run=RegressionRun, quick=400)
def any_width(draw):
    size = draw(st.integers(1, 4))
    data = {"inputs": unit_inputs(draw, size, 3), "targets": bounded_targets(draw, size, 1.0)}
    return Instance(data=data, parameters={"delta": 0.5}, width=draw(st.sampled_from([16, 64, 256])))


# a part that other theorems share: outputs are sub-Gaussian at any width
InitialOutputs(theorem, delta).bounded("every output is at most sqrt(2 log(2 n/delta))", on="any width")


@theorem.conclusion(
    "the residual is moderate", holds=with_probability(1 - delta), bound=n * (1 + second_moment) / delta
)
def moderate(run):
    return run.residual_0**2


# false on purpose: a check that can't refute a falsehood is worth nothing
@theorem.control("the residual is tiny", holds=with_probability(1 - delta), bound=n * second_moment / 20)
def tiny(run):
    return run.residual_0**2
'''

TRAINING = '''"""TITLE.

Change the method, the rate and the perturbation that it allows; `ntkverify check FILE` judges
the claims.
"""

import numpy as np
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import Source, Theorem, always, with_probability
from ntkverify.glossary import delta, eta, k, lambda_0, limit_norm, loss_0, residual
from ntkverify.instances import bounded_targets, families, orthonormal_inputs, unit_inputs
from ntkverify.lemmas import premises
from ntkverify.lemmas.rounding import so_far, started
from ntkverify.problems.on_data import regression_instance
from ntkverify.problems.regression import RegressionRun
from ntkverify.training import GradientDescent

theorem = Theorem(
    "TITLE",
    source=Source(provenance="derived"),
    statement=r"""
        Let $0 < \\eta \\le 1/(2\\|H^\\infty\\|)$. As long as
        $\\|r(k+1) - (I - \\eta H^\\infty) r(k)\\| \\le \\eta\\lambda_0\\|r(k)\\|/2$:
        $L(k) \\le (1 - \\eta\\lambda_0/2)^{2k} L(0)$.
    """,
)

# constants are derived expressions; a theorem's largest step is one of its roles
eta_max = theorem.constant("eta_max", 1 / (2 * limit_norm), "largest step")
allowed = theorem.constant("allowed", Rational(1, 2) * eta * lambda_0, "perturbation of a step, relative to ||r||")
DATA = premises.unit_inputs(theorem)
premises.step_at_most(theorem, "step at most 1/(2 ||H^inf||)", eta_max)


class Run(RegressionRun):
    """What is trained is the library's; the method is what you say."""

    def training(self):
        return GradientDescent(self.eta)


def perturbation(run):
    """What a step leaves beyond the recursion with H^inf."""
    r = run.trajectory.residuals
    return np.linalg.norm(r[1:] - r[:-1] + run.eta * r[:-1] @ run.limit_gram, axis=1)


def instance(draw, *, width, size=None):
    inputs = orthonormal_inputs(size) if size else unit_inputs(draw, 2, 3)
    targets = bounded_targets(draw, 2, 1.0)
    return regression_instance(theorem, inputs, targets, width=width, steps=8, C=1.0, delta=0.25)


theorem.instances("training", run=Run, quick=20)(families.family(instance, power=st.integers(6, 12)))
theorem.instances("orthonormal", run=Run, quick=40)(families.family(instance, width=2**12, size=2))
theorem.instances("narrow", run=Run, quick=40)(families.family(instance, width=4, size=2))

RATE = {"of": "losses", "bound": (1 - eta * lambda_0 / 2) ** (2 * k) * loss_0}
SURE = {"holds": with_probability(1 - delta), "bound": allowed * residual, "of": perturbation}

theorem.lemma(
    "L(k) <= (1 - eta lambda_0/2)^(2 k) L(0) while the perturbation is small",
    holds=always,
    on=("training", "orthonormal"),
    given=lambda run: so_far(perturbation(run) <= run.allowed * run.residual),
    **RATE,
)
theorem.conclusion("4096 neurons keep the perturbation small", on="orthonormal", **SURE)
theorem.conclusion(
    "4096 neurons: the rate", on="orthonormal", holds=SURE["holds"], given=started, uses="L(k) <=", **RATE
)
# false on purpose: a check that can't refute a falsehood is worth nothing
theorem.control("4 neurons keep the perturbation small", on="narrow", **SURE)
'''

#: what each kind is about, and its text
KINDS = {
    "algebra": ("an inequality of linear algebra", ALGEBRA),
    "start": ("a network as it is drawn", START),
    "training": ("a network trained by a method of your own", TRAINING),
}


def rendered(kind: str, title: str, file: str) -> str:
    """A module of that kind, with a title and the name of its file."""
    return KINDS[kind][1].replace("TITLE", title).replace("FILE", file)
