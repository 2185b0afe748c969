"""The corpus of certificates: what `certify` says about small instances, written down to hold a rebuilt one against.

`certificates.json` holds one case a line: a claim, an instance, what is relaxed and planted, and the answer. The
test asks again and lets an answer become better, never other. The file is the reference, so it is written anew only
where a theorem or a recipe below has changed, never to make the test pass, and its differences are read one by one::

    python tests/search/certificate_corpus.py            # names the cases that would be written otherwise
    python tests/search/certificate_corpus.py --write    # writes them
"""

import argparse
import functools
import json
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from pathlib import Path
from unittest import mock

import small_instances

from ntkverify import Instance, NtkVerifyError, load_theorem
from ntkverify.judging.case import Case
from ntkverify.judging.falsehoods import planted
from ntkverify.search.evidence import certify as certify_module

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("certificates.json")
THEOREMS = "theorems/natural_gradient"
OWN = "tests/search/claims_for_balls.py"
RAISED = "RAISED"  #: stands for a status where there is no certificate

#: ends are written with 20 digits, rounded to nearest: two of them that are equal may differ by a unit of the last
PRINTED = 2e-19
#: where float64 makes the problem itself (targets relative to the outputs that it measured, turned weights), another
#: processor or order of summation makes another one, by roundings
MADE_BY_FLOATS = 1e-9


@functools.cache
def theorem_at(path):
    """The theorem of a module, loaded once."""
    return load_theorem(ROOT / path)


# ---- recipes ------------------------------------------------------------------------------------------------------


def drawn(path, family, **settings):
    """What `small_instance` draws, of a module that is loaded once: one of them derives its constants for seconds."""
    with mock.patch.object(small_instances, "load_theorem", theorem_at):
        return small_instances.small_instance(Path(path).stem, family, **settings)[2]


def from_family(**settings):
    """What `small_instance` draws, as the weights come unless ``moved``."""
    moved = settings.pop("moved", False)
    changes = settings.pop("changes", {})

    def make(path, family):
        instance = drawn(path, family, **settings)
        return replace(instance, **({} if moved else {"turns": (), "scale": 1.0, "evenness": 0.0}), **changes)

    return make


def own(**changes):
    """The one instance of a family that draws nothing."""

    def make(path, family):
        return replace(theorem_at(path).families[family].build(), **changes)

    return make


@dataclass(frozen=True)
class Recipe:
    """How a case is made.

    Parameters
    ----------
    label : str
        Names the case.
    path, claim, family : str
        Module, the start of a claim's name that no other claim's has, and a family of instances.
    make : callable
        Gives the instance, from path and family.
    relax, plants : tuple of str
        Assumptions that are dropped; what is made wrong, where ``"* 1/2"`` and ``"with m**2"`` are of the claim itself.
    options : dict
        Precisions other than the usual ones.
    within : float
        Relative distance that enclosures of the same number may keep.
    """

    label: str
    path: str
    claim: str
    family: str
    make: Callable[[str, str], Instance] = field(default_factory=from_family)
    relax: tuple[str, ...] = ()
    plants: tuple[str, ...] = ()
    options: dict[str, int] = field(default_factory=dict)
    within: float = PRINTED


def of(name, *parts, **settings):
    """A recipe about a theorem of the library."""
    label, *rest = parts
    return Recipe(f"{name}: {label}", f"{THEOREMS}/{name}.py", *rest, **settings)


def of_own(label, claim, family, **settings):
    """A recipe about a claim that was made for this corpus."""
    return Recipe(label, OWN, claim, family, **{"make": own(), **settings})


FALSE = ("* 1/10000",)
UNIT = {"data": {"inputs": [[1.0]], "targets": [1.0]}, "parameters": {"C": 1.0, "delta": 0.1}}


def given(**content):
    """An instance made by hand."""
    return lambda path, family: Instance(**content)


def regression():
    """`RegressionRun`."""
    name = "gradient_descent_regression"
    gradient, any_width = "max_r ||dL/dw_r||", "any width"
    small = {**UNIT, "width": 2, "step": 0.1, "steps": 2, "seed": 3}
    three = {"width": 3, "steps": 2}
    optimal = "theorem's width, optimal split"
    recursion = "perturbed linear recursion"
    asymmetric = {"data": {"matrix": [[0.5, 100.0], [0.0, 0.6]], "vector": [0.0, 1.0], "push": [0.0, 1.0]},
                  "parameters": {"lambda_0": 0.5, "tau": 0.25, "sigma": 0.25}, "step": 1.0}  # fmt: skip
    return [
        of(name, "gradient bound", gradient, any_width, given(**small)),
        of(name, "nine tenths of the gradient bound", gradient, any_width, given(**small), plants=("* 9/10",)),
        of(name, "gradient bound, wrong exponent", gradient, any_width, given(**small), plants=("with m**2",)),
        of(name, "gradient bound, input too long", gradient, any_width,
           given(**{**small, "data": {"inputs": [[3.0]], "targets": [1.0]}})),
        of(name, "gradient bound, input too long, relaxed", gradient, any_width,
           given(**{**small, "data": {"inputs": [[3.0]], "targets": [1.0]}}), relax=("unit inputs",)),
        of(name, "gradient bound, target too large", gradient, any_width,
           given(**{**small, "data": {"inputs": [[1.0]], "targets": [1.5]}})),
        of(name, "gradient bound, a network too large for balls", gradient, any_width, given(**{**small,
           "width": 10**9})),
        of(name, "gradient bound, no targets", gradient, any_width, given(**{**small, "data": {"inputs": [[1.0]]}})),
        of(name, "gradient bound, moved weights", gradient, any_width, from_family(**three, seed=1, moved=True),
           within=MADE_BY_FLOATS),
        of(name, "Gram stability", "||H(k) - H(0)||_F <= 2 n near", any_width, from_family(**three)),
        of(name, "Gram stability, false", "||H(k) - H(0)||_F <= 2 n near", any_width, from_family(**three),
           plants=FALSE),
        of(name, "worst shift, no neuron near", "the same for the worst shift", "clustered inputs, one step",
           from_family(width=3)),
        of(name, "Gram stability without n, no neuron near", "Gram stability without n", "clustered inputs, one step",
           from_family(width=3)),
        of(name, "Gram stability without n, two neurons near", "Gram stability without n",
           "clustered inputs, one step", from_family(width=24)),
        of(name, "recursion", "recursion: r(k+1)", any_width, from_family(**three)),
        of(name, "remainder", "||I_1(k)|| <= n near", any_width, from_family(**three)),
        of(name, "remainder, false", "||I_1(k)|| <= n near", any_width, from_family(**three), plants=FALSE),
        of(name, "remainder in the ball, too narrow", "||I_1(k)|| <= sigma/2 lambda_0 eta ||r(k)|| while", optimal,
           from_family(width=4)),
        of(name, "Gram matrix in the ball, width relaxed", "||H(k) - H(0)||_F <= sigma lambda_0 while", optimal,
           from_family(width=4), relax=("width at least m_0",)),
        of(name, "the chain closes, width relaxed", "the drift allowed by the width", optimal, from_family(width=4),
           relax=("width at least m_0",)),
        of(name, "the chain closes, its radius a thousandfold", "the drift allowed by the width", optimal,
           from_family(width=4), relax=("width at least m_0",), plants=("R * 1000",)),
        of(name, "the radius leaves the contraction", "the radius leaves the contraction", optimal,
           from_family(width=4), relax=("width at least m_0",)),
        of(name, "drift", "max_r ||w_r(k) - w_r(0)||", any_width, from_family(**three)),
        of(name, "drift, false", "max_r ||w_r(k) - w_r(0)||", any_width, from_family(**three), plants=FALSE),
        of(name, "gradient bound without sqrt(n)", "the gradient bound without sqrt(n)", "nearly parallel inputs",
           from_family(width=4)),
        of(name, "one step contracts", "one step contracts the loss whenever", optimal, from_family(width=12)),
        of(name, "contraction", "contraction: I_1", recursion),
        of(name, "contraction, matrix not symmetric", "contraction: I_1", recursion, given(**asymmetric)),
        of(name, "perturbation beyond its threshold", "the contraction with a perturbation", recursion,
           from_family(seed=1)),
        of(name, "beyond stability", "the contraction where eta ||H|| = 2.1", "linear recursion beyond stability",
           from_family(seed=3)),
        of(name, "rate, a claim of probability", "the rate without the width assumption", "narrow network",
           from_family(width=2)),
    ]  # fmt: skip


def pinn():
    """`PinnRun` with gradient descent."""
    name, narrow, training = "gradient_descent_pinn", "narrow", "training"
    recursion = "perturbed linear recursion"
    gradient = "max_r ||dL/dw_r|| <= C_g B^2"
    three = {"width": 4, "steps": 2}
    return [
        of(name, "gradient bound", gradient, narrow, from_family(**three)),
        of(name, "gradient bound, false", gradient, narrow, from_family(**three), plants=FALSE),
        of(name, "gradient bound, a constant false", gradient, narrow, from_family(**three),
           plants=("C_g * 1/100",)),
        of(name, "gradient bound, moved weights, false", gradient, narrow, from_family(**three, seed=1, moved=True),
           plants=FALSE, within=MADE_BY_FLOATS),
        of(name, "recursion", "recursion: r(k+1)", training, from_family(**three)),
        of(name, "spectral step", "any step:", narrow, from_family(**three)),
        of(name, "spectral step, false", "any step:", "step beyond stability", from_family(**three), plants=FALSE),
        of(name, "one step contracts", "one step contracts the loss whenever", training, from_family()),
        of(name, "one step contracts, false", "one step contracts the loss whenever", training, from_family(),
           plants=FALSE),
        of(name, "step fits", "eta ||H(k)|| <= 1 at the largest step while", training, from_family()),
        of(name, "implication, its event missed", "implication: L(k)", "separated", from_family(**three)),
        of(name, "homogeneity, of which balls know nothing", "J(0) theta(0) = 3 u(0)", narrow, from_family(**three)),
        of(name, "one neuron", "sqrt(m) ||J_r||_F", "corner sample", from_family(width=3)),
        of(name, "loss beyond stability", "the loss never increases", "step beyond stability",
           from_family(width=4, steps=1, seed=4, changes={"step": 0.125})),
        # the Jacobian's change, of which the claim does not speak, has two rows of zeros: eigenvalues that no number of
        # bits tells apart
        of(name, "loss beyond stability, two eigenvalues zero", "the loss never increases", "step beyond stability",
           from_family(**three, seed=1, changes={"step": 0.3})),
        of(name, "rate of narrow networks", "the rate on networks of 4 to 32", narrow,
           from_family(**three, changes={"step": 0.05}), relax=("step at most 2/(3 ||H^inf||)",)),
        of(name, "rate of narrow networks, step too long", "the rate on networks of 4 to 32", narrow,
           from_family(**three, changes={"step": 0.05})),
        of(name, "contraction, false", "contraction: I_1", recursion, plants=FALSE),
        of("initial_gram_pinn", "trace", "tr H^inf is the mean", "any width", from_family(width=2)),
        of("initial_gram_pinn", "trace at repeated samples, which are balls", "tr H^inf does not change", "any width",
           from_family(width=2)),
        of("initial_gram_pinn", "norm", "||H^inf|| is at most", "any width", from_family(width=2)),
        of("initial_gram_pinn", "norm falls like 1/n", "||H^inf|| falls like 1/n", "forty samples of a block",
           given(data={"interior": [[k / 8, 3 * k % 8 / 8] for k in range(1, 7)],
                       "boundary": [[0.0, k / 8] for k in range(1, 7)]},
                 parameters={"delta": 0.2}, width=1)),
        of("initial_gram_pinn", "one neuron, false", "m ||J_r||_F^2", "any width", from_family(width=3),
           plants=FALSE),
        of("initial_gram_pinn", "a tail of SciPy's", "one term alone", "rates of a one-term bound"),
    ]  # fmt: skip


def merging():
    """`PinnRun` without training: H^inf alone."""
    name, halves = "positive_definiteness", "ReLU^3: halving the distance of two interior samples"
    cubed = "merging samples, ReLU^3"
    fine = 2.0**-12
    row = {"interior": [[0.4, 0.5], [0.9, 0.9], [0.4 + fine, 0.5]],
           "closer": [[0.4, 0.5], [0.9, 0.9], [0.4 + fine / 2, 0.5]],
           "boundary": [[0, 0.1], [0, 0.1625625], [0, 0.225125]]}  # fmt: skip
    three = given(data=row, parameters={"h": fine}, width=1)
    one_pair = "one pair, h <= 1/512 apart, among at most 3 interior and 2 boundary samples of the unit square"
    return [
        of(name, "ReLU^3 halves", halves, cubed),
        of(name, "ReLU^3 halves, false", halves, cubed, plants=FALSE),
        of(name, "ReLU^3 halves, three in a row", halves, cubed, three),
        of(name, "ReLU^3 halves, three in a row, relaxed", halves, cubed, three, relax=(one_pair,)),
        of(name, "ReLU^3 halves beside a pair", halves, "two pairs, ReLU^3"),
        of(name, "ReLU^3 halves anywhere", "ReLU^3: halving the distance halves", "two pairs, ReLU^3"),
        of(name, "ReLU^3 quarters", "ReLU^3: halving the distance quarters", cubed),
        of(name, "erf quarters anywhere", "smooth: halving the distance quarters",
           "merging samples beside a third, erf"),
        of(name, "at most a pair", "lambda_0 <= E||grad", cubed),
        of(name, "at most a pair, false", "lambda_0 <= E||grad", cubed, plants=FALSE),
        of(name, "a lower end in float64", "ReLU^3: lambda_0 > 0", "ReLU^3",
           given(data={"interior": [[0.25, 0.5]], "boundary": [[0.0, 0.5]]}, width=1)),
        of(name, "coinciding samples", "ReLU^3: lambda_0 is certified positive", "coinciding samples"),
        of(name, "activations that qualify", "logistic, softplus", "activations that qualify"),
        of(name, "sin does not", "sin meets them", "sin alone"),
        of(name, "no boundary", halves, cubed, given(data={"interior": [[0.4, 0.5]]}, parameters={"h": fine}, width=1)),
    ]  # fmt: skip


def natural():
    """`PinnRun` and a theorem's `TrainedRun` with natural gradient descent."""
    name, heat, cubed = "natural_gradient_pinn", "tanh, heat", "ReLU^3, heat"
    small = {"width": 5, "steps": 2}
    length, jacobians = "||theta+ - theta|| <= eta", "worst Jacobians"
    one = {"data": {"interior": [[0.296, 0.511]], "boundary": [[0, 0.497]], "source": [0.362], "values": [-0.308]},
           "step": 0.9, "steps": 1, "seed": 845}  # fmt: skip
    many = "1024 neurons: ||E||"
    zhang = "zhang_martens_grosse"
    trained = {**small, "seed": 1}
    relative = {"within": MADE_BY_FLOATS}
    return [
        of(name, "step's equation", "the step solves", heat, from_family(**small)),
        of(name, "recursion", "recursion: r(k+1)", "tanh, general operator", from_family(**small)),
        of(name, "recursion of ReLU^3", "recursion: r(k+1)", cubed, from_family(**small)),
        of(name, "length of a step", length, cubed, from_family(**small)),
        of(name, "length of a step, false", length, cubed, from_family(**small), plants=FALSE),
        of(name, "length of a step, wrong exponent", length, heat, from_family(**small), plants=("with eta**2",)),
        of(name, "length of a step, step too long", length, heat, from_family(**small, changes={"step": 1.5})),
        of(name, "length of a step, step too long, relaxed", length, heat,
           from_family(**small, changes={"step": 1.5}), relax=("step below 1",)),
        of(name, "one neuron, of which the claim does not speak", many, heat, given(**one, width=1)),
        of(name, "remainder of many neurons", many, heat, given(**one, width=1024)),
        of(name, "remainder of many neurons, false", many, heat, given(**one, width=1024), plants=FALSE),
        of(name, "one step contracts", "one step contracts the loss by 1 - eta", "ReLU^3, general operator",
           from_family(**small)),
        of(name, "implication", "implication: L(k) <= (1 - eta)^k L(0) while E", heat, from_family(**small)),
        of(name, "implication, false", "implication: L(k) <= (1 - eta)^k L(0) while E", heat, from_family(**small),
           plants=FALSE),
        of(name, "implication by the Jacobian, no closed form",
           "implication: L(k) <= (1 - eta)^k L(0) while J", "separated, tanh", from_family(**small)),
        of(name, "eigenvalue by the Jacobian, event missed", "lambda_min(H(k)) >= lambda_0/2 while J",
           "separated, ReLU^3", from_family(**small)),
        of(name, "derivative, of which balls know nothing", "tanh: J(0) v", heat, from_family(**small)),
        of(name, "rate as an equality", "the rate as an equality", heat, from_family(**small)),
        of(name, "three times the rate", "L(k) <= (1 - eta)^(3k)", heat, from_family(**small)),
        of(name, "as slow as gradient descent", "natural gradient descent is as slow", "lambda_0 over a factor of 30",
           from_family(**small)),
        of(name, "eigenvalue kept", "lambda_min(J J^T) >= lambda_0/2 after", jacobians),
        of(name, "eigenvalue kept, false", "lambda_min(J J^T) >= lambda_0/2 after", jacobians, plants=("* 10000",)),
        of(name, "Jacobian too far", "one step contracts the loss when J changes by sqrt", jacobians,
           given(data={"left": [[1.0]], "right": [[1.0], [0.0]], "singular": [0.8660254037844387],
                       "residual_vector": [1.0]}, parameters={"lambda_0": 1.0}, step=0.9)),
        of("natural_gradient_width", "Lipschitz, no closed form", "||J(w) - J(0)|| <= alpha C_L B_2", "its own width",
           from_family(width=3)),
        of(zhang, "recursion", "recursion: r(k+1)", "training", from_family(**trained), **relative),
        of(zhang, "one step", "one step contracts the loss under", "training", from_family(**trained), **relative),
        of(zhang, "rate", "||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 under", "training", from_family(**trained), **relative),
        of(zhang, "rate, false", "||r(k)||^2 <= (1 - eta)^k ||r(0)||^2 under", "training", from_family(**trained),
           plants=FALSE, **relative),
        of(zhang, "three times the rate", "||r(k)||^2 <= (1 - eta)^(3k)", "training", from_family(**small), **relative),
        of(zhang, "a twentieth of the ball", "the weights stay within a twentieth", "training",
           from_family(**trained), **relative),
        of(zhang, "the ball, c too large", "the weights stay within 3", "training",
           from_family(**trained, changes={"parameters": {"c": 0.75}}), **relative),
        of(zhang, "the ball, an input twice", "the weights stay within 3", "training",
           from_family(**trained, changes={"data": {"inputs": [[1.0, 0.0]] * 2, "start": [0.5, 0.5]}}), **relative),
        of(zhang, "the ball, no samples", "the weights stay within 3", "training",
           from_family(**trained, changes={"data": {"start": [0.5]}})),
        of(zhang, "worst remainder", "||E|| <= eta (2c/3)/(1 - c/3) ||r||, worst", jacobians),
        of(zhang, "step bound dropped", "the step bound dropped", "step beyond its bound, c = 0.49"),
        of(zhang, "c too large", "c < 1/2 dropped", "c = 0.9, a short step"),
    ]  # fmt: skip


def perturbed():
    """Theorems' own subclasses of `PinnRun` and `AlgebraRun`."""
    name, newton = "jacobian_stability", "gauss_newton_identity"
    root = "ReLU^3, two moves: ||J(w) - J(0)|| <= C_J B^2 sqrt(R) while"
    square = "ReLU^3, two moves: ||J(w) - J(0)||_F^2"
    return [
        of(name, "sign changes", square, "ReLU^3", from_family(width=4)),
        of(name, "sign changes, false", square, "ReLU^3", from_family(width=4), plants=FALSE),
        of(name, "root of R", root, "ReLU^3", from_family(width=4, changes={"parameters": {"R": 0.5}})),
        of(name, "root of R, false", root, "ReLU^3", from_family(width=4), plants=FALSE),
        of(name, "smooth", "tanh, two moves: ||J(w) - J(0)||_F <= R times", "tanh", from_family(width=4)),
        of(name, "smooth, forgetful", "tanh, two moves: ||J(w) - J(0)||_F <= R sup", "tanh", from_family(width=4)),
        of(name, "one neuron, by a root of math", "|psi(w)| <= K", "ReLU^3", from_family(width=4)),
        of(newton, "the same step, by a QR factor", "natural gradient = energy", "random Jacobian"),
        of(newton, "the same step of a network, by a QR factor", "natural gradient = energy",
           "physics-informed network", from_family(width=4)),
        of(newton, "damping, by a QR factor", "damping by lambda_min", "random Jacobian"),
    ]  # fmt: skip


def first_steps():
    """`FirstStepRun`, and `PinnRun` from residuals that are given."""
    name, third = "quadratic_convergence", "third order: 4 ||r(1)||"
    small = {"width": 5, "steps": 2}
    relative = {"within": MADE_BY_FLOATS}
    points = {"interior": [[0.2, 0.3], [0.8, 0.7]], "boundary": [[0.0, 0.5], [0.5, 1.0]]}
    data = {**points, "source": [0.05, -0.05], "values": [0.02, 0.01]}
    converged = given(data=data, parameters={"size": 0.06}, width=64, step=1.0, steps=5, seed=1)
    sharper = "||r(k+1)|| <= C_L B^2"
    return [
        of(name, "third order", third, "sizes, tanh", from_family(width=8)),
        of(name, "third order, false", third, "sizes, tanh", from_family(width=8), plants=("* 1/10000000",)),
        of(name, "third order, moved weights", third, "sizes, tanh",
           from_family(width=8, seed=5, moved=True, changes={"scale": 0.6}), within=MADE_BY_FLOATS),
        of(name, "a thousandth of third order, moved weights", "third order with a thousandth", "sizes, tanh",
           from_family(width=16, seed=5, moved=True, changes={"scale": 0.6}), within=MADE_BY_FLOATS),
        of(name, "third order, step not 1", third, "sizes, tanh", from_family(width=8, changes={"step": 0.5})),
        of(name, "third order, a sample twice", third, "sizes, tanh",
           given(data={**data, "interior": [[0.2, 0.3]] * 2}, parameters={"size": 0.06}, width=8, step=1.0, steps=1)),
        of(name, "one neuron", "||J_r||_F <= C_g max", "corner sample", from_family(width=4)),
        of(name, "one neuron, false", "||J_r||_F <= C_g max", "corner sample", from_family(width=4), plants=FALSE),
        of(name, "sharper bound", sharper, "training", from_family(**small), **relative),
        of(name, "sharper bound, false", sharper, "training", from_family(**small), plants=FALSE, **relative),
        of(name, "Lipschitz, false", "||J(theta+) - J(theta)||", "training", from_family(**small), plants=FALSE,
           **relative),
        of(name, "below rounding", "the convergence goes on", "training", from_family(**small), **relative),
        of(name, "a bound that is rounding", "rounding ends it", "training", converged, **relative),
    ]  # fmt: skip


def own_claims():
    """Each number that a run in balls knows, and each way out of them."""
    theorem = theorem_at(OWN)
    return [of_own(f"own: {name} [{family}]" if len(claim.on) > 1 else f"own: {name}", name, family)
            for name, claim in theorem.claims.items()
            for family in ([] if claim.is_symbolic else claim.on)] + [
        of_own("own: entries too large", "squares sum to n", "numbers", make=own(data={"x": [2.0, 0.5]})),
        of_own("own: entries too large, relaxed", "squares sum to n", "numbers", make=own(data={"x": [2.0, 0.5]}),
               relax=("entries at most 1",)),
        of_own("own: an excess within rounding", "the root squared is the square", "numbers",
               make=own(data={"x": [0.1, 0.7]})),
        of_own("own: a tiny number, 128 bits at most", "of one and a tiny number", "numbers", options={"limit": 128}),
        of_own("own: a sum, 24 bits", "squares sum to n", "numbers", options={"bits": 24, "limit": 24}),
        of_own("own: no step", "residuals of a regression run", "regression", make=own(steps=0)),
        of_own("own: no numbers", "squares sum to n", "numbers", make=own(data={})),
        of_own("own: a sum of symbols", "a sum of symbols", "numbers"),
    ]  # fmt: skip


def recipes():
    """All of them."""
    groups = (regression, pinn, merging, natural, perturbed, first_steps, own_claims)
    return [recipe for group in groups for recipe in group()]


# ---- cases --------------------------------------------------------------------------------------------------------


@functools.cache
def run_class(path, family):
    """Name of the class of a family's runs, and of the library's class that it is, if another."""
    theorem = theorem_at(path)
    of = theorem.families[family]
    built = of.build() if path == OWN else drawn(path, family, width=1, steps=0)
    kind = type(of.run(built, theorem))
    base = next(c for c in kind.__mro__ if c.__module__.startswith("ntkverify."))
    return kind.__name__ if kind is base else f"{kind.__name__}({base.__name__})"


def claim_of(theorem, start):
    """The claim whose name is, or as the only one starts with, `start`."""
    found = [theorem.claims[start]] if start in theorem.claims else []
    found = found or [claim for name, claim in theorem.claims.items() if name.startswith(start)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} claims start with {start!r}")
    return found[0]


def made(recipe):
    """The case that a recipe makes, without an answer."""
    theorem = theorem_at(recipe.path)
    claim = claim_of(theorem, recipe.claim)
    instance = replace(recipe.make(recipe.path, recipe.family), theorem=theorem.id, family=recipe.family)
    plants = [f"{claim.name} {plant}" if plant.startswith(("*", "with ")) else plant for plant in recipe.plants]
    case = {
        "case": recipe.label,
        "theorem": recipe.path,
        "claim": claim.name,
        "family": recipe.family,
        "run": run_class(recipe.path, recipe.family),
        "relax": list(recipe.relax),
        "plants": plants,
        "options": recipe.options,
        "within": None if recipe.within == PRINTED else recipe.within,
        "instance": json.loads(instance.to_json()),
    }
    return {key: value for key, value in case.items() if value not in ([], {}, None)}


def ask(case):
    """The certificate of a case, or the exception that `certify` raises."""
    theorem = theorem_at(case["theorem"])
    instance = Instance.from_json(json.dumps(case["instance"]))
    with planted(theorem, case.get("plants", [])), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # float64 may overflow or divide by zero where balls do not
        claim, family = theorem.claims[case["claim"]], theorem.families[case["family"]]
        try:
            return certify_module.certify(
                Case(theorem, claim, family, tuple(case.get("relax", []))), instance, **case.get("options", {})
            )
        except Exception as error:
            return error


def answered(case):
    """A case with today's answer."""
    refusals = []
    attempt = certify_module._attempt

    def watched(*args):
        try:
            return attempt(*args)
        except Exception as error:
            refusals.append(type(error).__name__)
            raise

    with mock.patch.object(certify_module, "_attempt", watched):  # a certificate says why, not by which exception
        found = ask(case)
    if isinstance(found, Exception):
        answer = {"status": RAISED, "refusal": type(found).__name__, "reason": _shortened(str(found))}
    else:
        answer = {name: value for name, value in found.record().items() if value is not None}
        answer["reason"] = _shortened(found.reason)
        if refusals and found.status == "UNDECIDED" and found.measured is None:
            answer["refusal"] = refusals[-1]
        if not math.isfinite(answer.get("tolerance", 0.0)):
            answer["tolerance"] = str(found.tolerance)
    better = _better(case, answer["status"])
    return {**case, "answer": answer, **({"may_become": better} if better else {})}


def _shortened(sentence, most=200):
    return sentence if len(sentence) <= most else f"{sentence[:most]}..."


def _better(case, status):
    """The other answers that an open one may give way to.

    No single run decides about probability. What nobody has made wrong is believed: balls may find it kept.
    """
    claim = theorem_at(case["theorem"]).claims[case["claim"]]
    if status in ("CERTIFIED", "REFUTED"):
        return []
    refused = ["UNDECIDED"] if status == RAISED else []
    if not claim.quantifier.is_decided_by_one_run:
        return refused
    believed = claim.kind != "control" and "plants" not in case and "relax" not in case
    return [*refused, "REFUTED"] if believed else [*refused, "CERTIFIED", "REFUTED"]


# ---- comparison ---------------------------------------------------------------------------------------------------


def objection(case, found):
    """What is wrong with a new answer; empty if it is as good as the one in the file, or better."""
    was = case["answer"]
    status = RAISED if isinstance(found, Exception) else found.status
    if status != was["status"]:
        return "" if status in case.get("may_become", []) else f"{was['status']} has become {status}: {_said(found)}"
    if status == RAISED:
        as_good = isinstance(found, NtkVerifyError) or type(found).__name__ == was["refusal"]
        return "" if as_good else f"{was['refusal']} has become {_said(found)}"
    if "measured" not in was:
        # an assumption or the event decided: entries with enclosures would mean that it no longer does
        decided = status == "REFUTED" and found.measured is not None
        return f"refuted by the bound and no longer as {was['reason']!r}" if decided else ""
    if found.measured is None:
        return "" if status == "UNDECIDED" else f"there are no enclosures any more: {found.reason}"
    new = found.record()
    if new["entry"] == was["entry"]:
        pairs = [(name, was[name], new[name]) for name in ("measured", "bound")]
    else:  # two entries as close to the bound: what they leave of it must agree
        pairs = [(f"excess at entry {new['entry']}, formerly {was['entry']},", excess(was), excess(new))]
    for name, before, after in pairs:
        if not overlap(before, after, case.get("within", PRINTED)):
            return f"{name} was in {list(before)} and is in {list(after)}"
    return ""


def _said(found):
    return f"{type(found).__name__}: {found}" if isinstance(found, Exception) else found.reason


def excess(answer):
    """Ends of measured quantity minus bound, from their ends."""
    with localcontext(prec=60):
        (low, high), (least, most) = (map(Decimal, answer[name]) for name in ("measured", "bound"))
        return str(low - most), str(high - least)


def overlap(before, after, within):
    """Whether two enclosures, as pairs of printed ends, have a number in common, or nearly so."""
    with localcontext(prec=60):
        ends = [Decimal(end) for end in (*before, *after)]
        if any(end.is_nan() for end in ends):  # unbounded
            return True
        low, high = max(ends[0], ends[2]), min(ends[1], ends[3])
        return low <= high or low - high <= Decimal(within) * max(abs(low), abs(high))


# ---- the file -----------------------------------------------------------------------------------------------------


def read():
    """The cases of the file."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def text_of(cases):
    """One case a line, so that a difference shows the cases that differ."""
    return "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n"


def main(arguments=None):
    """Compare the file with what would be written, or write it."""
    parser = argparse.ArgumentParser(description="The corpus of certificates.")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    options = parser.parse_args(arguments)
    cases = [answered(made(recipe)) for recipe in recipes()]
    before, now = (
        {case["case"]: json.dumps(case) for case in some} for some in (read() if FILE.exists() else [], cases)
    )
    print("\n".join(label for label in {**now, **before} if now.get(label) != before.get(label)))
    if options.write:
        FILE.write_text(text_of(cases), encoding="utf-8")
        print(f"{len(cases)} cases written to {FILE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
