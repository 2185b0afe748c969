"""The part for gradient flow: the worst case is kept and sharp, for any linear rate; the rate on a run's times."""

import numpy as np
import pytest
import sympy
from sympy import Rational, sqrt

from ntkverify import Check, Instance, Source, Theorem
from ntkverify.glossary import lambda_0, m
from ntkverify.lemmas.flow import WORST, GradientFlow, t
from ntkverify.problems.algebra import AlgebraRun

OTHER = sympy.Symbol("branch_0", positive=True)


def worst(entropy=0, scaled=None, **options):
    theorem = Theorem("T", source=Source(), statement="S")
    GradientFlow(theorem, **options).contraction()
    check = Check(theorem, entropy=entropy)
    if scaled is None:
        return [check.verdict(claim).shown for claim in theorem.claims.values()]
    with theorem.mutated(*scaled):
        return [check.verdict(claim).shown for claim in theorem.claims.values()]


@pytest.mark.parametrize("entropy", range(3))
@pytest.mark.parametrize("options", [{}, {"rate": lambda_0 + OTHER}, {"kept": Rational(3, 4)}])
def test_worst_case_is_kept_and_its_controls_refuted(options, entropy):
    assert worst(entropy, **options) == ["holds", "holds", "refuted", "holds", "refuted"]


def test_a_shorter_path_is_refuted():
    assert worst(scaled=("path", Rational(99, 100)))[3] == "violated"


def test_the_path_is_twice_over_the_rate_where_half_is_kept():
    theorem = Theorem("T", source=Source(), statement="S")
    flow = GradientFlow(theorem, rate=lambda_0 + OTHER)
    assert sympy.simplify(theorem.expand(flow.path) - 2 / (lambda_0 + OTHER)) == 0
    assert flow.shrunk == sympy.exp(-(lambda_0 + OTHER) * t)
    assert theorem.roles.rate == lambda_0 + OTHER


class LinearNetwork(AlgebraRun):
    """r(t) = exp(-H t) r(0) for a diagonal H, at the times 0, 1, 2, 3; H falls to a tenth in the end if `dips`."""

    t = np.arange(4.0)
    k = np.arange(4)
    losses_error = np.full(4, 1e-12)

    @property
    def residuals(self):
        return np.array([np.linalg.norm(np.exp(-self.spectrum * time) * self.vector) for time in self.t])

    residual_0 = property(lambda self: self.residuals[0])
    losses = property(lambda self: self.residuals**2 / 2 * (1 if self.dips == 0 else np.array([1, 1, 1, 30])))
    loss_0 = property(lambda self: self.losses[0])
    drift = property(lambda self: (1 - np.exp(-self.t * self.spectrum.min())) / 10)

    @property
    def eigenvalues(self):
        shares = np.ones(4) if self.dips == 0 else np.array([1, 1, 0.1, 0.1])
        return shares[:, None] * np.sort(self.spectrum)


@pytest.mark.parametrize("dips", [0, 1])
def test_the_implication_speaks_of_kept_times_only(dips):
    theorem = Theorem("T", source=Source(), statement="S")
    data = {"spectrum": [1.0, 3.0], "vector": [1.0, 1.0]}
    parameters = {"lambda_0": 2.0, "dips": dips, "delta": 0.5}
    theorem.instances("linear", run=LinearNetwork, quick=1)(
        lambda: Instance(data=data, parameters=parameters, width=4, steps=3)
    )
    flow = GradientFlow(theorem)
    flow.contraction()
    flow.implication(on="linear")
    flow.drift(1 / sqrt(m), "the drift is at most 2 ||r(0)||/(sqrt(m) lambda_0)", on="linear", uses=())
    flow.at_width("4 neurons", on="linear", narrow="linear", few="4 neurons")
    theorem.validate()
    check = Check(theorem)
    claims = {claim.name: claim for claim in theorem.claims.values()}
    assert check.verdict(
        claims["implication: L(t) <= exp(-lambda_0 t) L(0) as long as lambda_min(H) >= lambda_0/2"]
    ).passed
    assert check.verdict(claims["the drift is at most 2 ||r(0)||/(sqrt(m) lambda_0)"]).passed
    assert WORST in theorem.families
