"""Claims made for the corpus of certificates: what runs measure, number by number, and what has no enclosure.

The theorems of the library ask a run for a part of what it answers, and many of their claims speak of probability, of
which no certificate speaks. Here everything that a run in balls answers for is added up, so that a wrong sign or a
wrong entry shows; and each way in which a claim can elude balls is taken once.
"""

import functools
import math

import numpy as np
import sympy
from sympy import Rational

from ntkverify import Instance, Source, Theorem, always, identity, with_probability
from ntkverify.execution.walking.terms import as_samples
from ntkverify.glossary import k, n
from ntkverify.measures.steps import JacobianPath, Steps
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.problems.natural_gradient.first_step import first_step
from ntkverify.problems.pinn import PinnRun, pinn
from ntkverify.problems.regression import RegressionRun
from ntkverify.problems.run import Run
from ntkverify.problems.trained import TrainedRun
from ntkverify.symbolic.network.neuron import regression_neuron

theorem = Theorem("Claims for balls", source=Source(), statement="$|x|^2 <= n$")

theorem.quantity("n_entries", lambda run: len(run.x))
exact = theorem.quantity("exact", lambda run: run.x @ run.x)
#: below whatever is added up: the claim is false, and the excess is the sum
BELOW = -(10**6)

# ---- runs ---------------------------------------------------------------------------------------------------------


class SmoothRegression(RegressionRun):
    """Another activation, and a number of its own."""

    activation = "erf"

    @property
    def half_step(self):
        """Half the learning rate, by this class's own code."""
        return self.eta / 2


class RedefinedDrift(RegressionRun):
    """A drift that balls could not tell from theirs."""

    @property
    def drift(self):
        """Zero, whatever the network does."""
        return np.zeros(self.steps + 1)


class SmoothGradientRun(TrainedRun):
    """Gradient descent on samples of its own, with the Jacobian in memory."""

    def measures(self):
        """What the path of the Jacobian leaves as well."""
        return [Steps(), JacobianPath()]

    @functools.cached_property
    def neuron(self):
        """Softplus, smooth and with a closed form in balls."""
        return regression_neuron("softplus", dimension=2)

    @functools.cached_property
    def samples(self):
        """The instance's inputs and targets."""
        return as_samples(self.neuron, self.instance.array("inputs"), self.instance.array("targets"), normalise=True)


class SecondLook(PinnRun):
    """Asks the class that it inherits from, which in balls is another one."""

    @property
    def doubled_weights(self):
        """Twice the weights."""
        return 2 * super().weights


# ---- instances ----------------------------------------------------------------------------------------------------

SAMPLES = {"inputs": [[0.6, 0.8], [-0.28, 0.96]], "targets": [0.5, -0.75]}
POINTS = {"interior": [[0.25, 0.5], [0.75, 0.25]], "boundary": [[0.0, 0.5]], "source": [0.5, -0.25], "values": [0.75]}


def trained(run, data, name, **settings):
    @theorem.instances(name, run=run, quick=1)
    def build():
        options = {"parameters": {"radius": 0.5}, "width": 4, "step": 0.25, "steps": 2, "seed": 5}
        return Instance(data=data, **{**options, **settings})


# a step and a draw in which neurons switch, and some are near it: else half of what ReLU networks measure is zero
trained(RegressionRun, SAMPLES, "regression", step=1.0, seed=9)
trained(SmoothRegression, SAMPLES, "regression with erf")
trained(RedefinedDrift, SAMPLES, "regression with a drift of its own")
trained(SmoothGradientRun, SAMPLES, "measured")
trained(pinn(activation="relu3"), POINTS, "pinn", step=2.0**-6)
trained(pinn(activation="tanh", method="natural gradient"), POINTS, "natural pinn")
trained(SecondLook, POINTS, "pinn that looks twice", step=2.0**-6)
trained(first_step(activation="softplus"), POINTS, "first step", step=1.0, steps=1)
trained(first_step(activation="tanh", random_signs=False), POINTS, "first step, signs +1", step=1.0, steps=1)
trained(Run, {}, "a run of no known kind")


@theorem.instances("numbers", run=AlgebraRun, quick=1)
def numbers():
    return Instance(
        data={"x": [0.3, -0.7], "matrix": [[2.0, 1.0], [1.0, 3.0]]},
        parameters={"scale": 1.0, "two": 2.0, "tiny": 2.0**-200, "n": 2},
        steps=2,
    )


@theorem.assumption("entries at most 1")
def bounded(run):
    return 1 - np.abs(run.x).max()


@theorem.assumption("the root of 2, squared, is at least 2")
def squared_root(run):
    """True, and no number of bits tells."""
    return np.sqrt(run.two) ** 2 - run.two


# ---- what runs measure, one number each ---------------------------------------------------------------------------


def added_up(value):
    """The entries of an array with the weights 1, 2, ...: neither a sign nor two entries change places unseen."""
    entries = np.ravel(value)
    return (np.arange(1, len(entries) + 1) * entries).sum()


#: of each family, what its runs in balls know
MEASURED = {
    "regression": (
        "residuals", "losses", "residual", "loss", "gram_drift", "eigenvalues", "remainder", "drift", "residual_0",
        "loss_0", "limit_gram", "lambda_0", "limit_norm", "at_start.outputs", "at_start.gram", "initial_gram_error",
        "largest_gradient", "linear_step", "descent.residuals", "descent.grams", "descent.remainders",
    ),
    "regression with erf": ("half_step", "limit_gram", "descent.residuals", "descent.remainders", "drift"),
    "measured": (
        "trajectory.residuals", "trajectory.grams", "trajectory.linear", "trajectory.remainders",
        "trajectory.lengths", "trajectory.drift", "trajectory.drift_rms", "trajectory.weight_norm",
        "trajectory.gradients", "trajectory.jacobian_change", "trajectory.path_change", "trajectory.path_from_start",
        "weights.T", "frozen", "eigenvalues", "loss_0",
    ),
    "pinn": (
        "trajectory.residuals", "trajectory.grams", "trajectory.linear", "trajectory.remainders", "limit_gram",
        "limit_eigenvalues", "lambda_0", "limit_norm", "initial_gram_error", "rho", "at_start.outputs",
        "scaled_targets",
    ),
    "natural pinn": (
        "trajectory.residuals", "trajectory.linear", "trajectory.remainders", "trajectory.lengths",
        "trajectory.jacobian_change", "trajectory.path_change", "trajectory.path_from_start", "drift", "gram_drift",
    ),
    "first step": (
        "residual_0", "first_step.whole", "first_step.half", "first_step.cubes", "first_step.weight_norm",
        "frozen",
    ),
    "first step, signs +1": ("first_step.whole", "first_step.half", "first_step.cubes", "frozen"),
}  # fmt: skip


def measured_name(attribute, family):
    """Name of the control that a family's runs have more than `BELOW` of something."""
    return f"{attribute} of a {family} run, added up, is below -10^6"


def part(run, path):
    return functools.reduce(getattr, path.split("."), run)


for family, attributes in MEASURED.items():
    for attribute in attributes:

        @theorem.control(measured_name(attribute, family), holds=always, bound=BELOW, assumes=(), on=family)
        def is_below(run, attribute=attribute):
            return added_up(part(run, attribute))


@theorem.control("the worst shift of a regression run is below -10^6", holds=always, bound=BELOW, assumes=(),
                 on="regression")  # fmt: skip
def worst_shift(run):
    shift = run.worst_shift(run.radius)
    return shift.change + 10 * added_up(shift.near) + 100 * added_up(run.initial(run.radius).near)


@theorem.control("other samples have an H^inf whose sum is below -10^6", holds=always, bound=BELOW, assumes=(),
                 on="pinn")  # fmt: skip
def other_samples(run):
    return added_up(run.with_samples(interior=[[0.5, 0.5]]).limit_gram)


@theorem.control("the Jacobian at twice the weights has a sum below -10^6", holds=always, bound=BELOW, assumes=(),
                 on=("measured", "pinn"))  # fmt: skip
def other_weights(run):
    return added_up(np.moveaxis(run.jacobian_at(2 * run.weights), 2, 0))


@theorem.control("the drift grows by 10^-9 a step", holds=always, bound=k / 10**9, assumes=(), on="regression")
def growing(run):
    """The bound is zero at first, and so is the drift: judged where neither is."""
    return run.drift


# ---- numbers: answers of every kind -------------------------------------------------------------------------------


@theorem.conclusion("squares sum to n at most", holds=always, bound=n, assumes=["entries at most 1"], on="numbers")
def squares(run):
    return run.x @ run.x


@theorem.control("every entry is at least -1/2", holds=always, bound=Rational(-1, 2), from_below=True,
                 assumes=(), on="numbers")  # fmt: skip
def from_below(run):
    return run.x


@theorem.lemma("the root squared is the square", holds=always, bound=exact, assumes=(), on="numbers", attained=True)
def rounded(run):
    return np.sqrt(run.x @ run.x) ** 2


@theorem.lemma("the root squared is the square, no rounding granted", holds=always, bound=exact, assumes=(),
               on="numbers", error=lambda run: 0.0, attained=True)  # fmt: skip
def not_rounded(run):
    """Equal, so that the enclosures overlap however narrow they are."""
    return np.sqrt(run.x @ run.x) ** 2


@theorem.control("of one and a tiny number, less one, at most half the tiny number is left", holds=always,
                 bound=sympy.Symbol("tiny") / 2, assumes=(), on="numbers", error=lambda run: 0.0)  # fmt: skip
def cancels(run):
    """Float64 has nothing left, 128 bits have no idea, 256 bits know."""
    return (1 + run.tiny) - 1


@theorem.lemma("matrix times its inverse is the identity", holds=identity, assumes=(), on="numbers",
               error=lambda run: 1e-14)  # fmt: skip
def inverse(run):
    return run.matrix @ np.linalg.solve(run.matrix, np.eye(2)), np.eye(2) + 0 * run.matrix


@theorem.control("matrix times its inverse is the matrix", holds=identity, assumes=(), on="numbers",
                 error=lambda run: 1e-14)  # fmt: skip
def no_inverse(run):
    return run.matrix @ np.linalg.solve(run.matrix, np.eye(2)), run.matrix


@theorem.control("the least eigenvalue is half the trace", holds=always, bound=Rational(5, 2), from_below=True,
                 assumes=(), on="numbers")  # fmt: skip
def least(run):
    return np.linalg.eigvalsh(run.matrix)[0]


@theorem.control("there is one entry", holds=always, bound=1, assumes=(), on="numbers")
def count(run):
    return len(run.x)


@theorem.control("the larger of two that overlap is below 2", holds=always, bound=2, assumes=(), on="numbers")
def larger(run):
    root = np.sqrt(run.two) ** 2
    return 1 + np.maximum(root + 0 * run.x, run.two).max() / 2 + np.maximum(run.x, -run.x).max()


# ---- numbers: what stays open, or is refused ----------------------------------------------------------------------


@theorem.lemma("a bound that holds wherever the root of 2, squared, is at least 2", holds=always, bound=n,
               assumes=["the root of 2, squared, is at least 2"], on="numbers")  # fmt: skip
def open_assumption(run):
    return run.x @ run.x


@theorem.lemma("a bound that is zero unless the root of 2, squared, is at least 2", holds=always, bound=n, assumes=(),
               on="numbers")  # fmt: skip
def open_branch(run):
    return run.x @ run.x if np.sqrt(run.two) ** 2 >= run.two else 0 * run.two


@theorem.lemma("a bound given that the root of 2, squared, is at least 2", holds=always, bound=n, assumes=(),
               on="numbers", given=lambda run: np.sqrt(run.two) ** 2 >= run.two)  # fmt: skip
def open_event(run):
    return run.x @ run.x


@theorem.lemma("less than 2 is less than 2", holds=always, bound=2, assumes=(), on="numbers")
def open_less(run):
    """Less by 2^-2000, which 1024 bits can't tell: who guesses that it is not finds a violation."""
    return 1 + 0 * run.two if np.sqrt(run.two) ** 2 - run.tiny**10 < run.two else 3 + 0 * run.two


@theorem.lemma("more than 2 is not at most 2", holds=always, bound=2, assumes=(), on="numbers")
def open_at_most(run):
    """More by as little: who guesses that it is at most 2 finds a violation."""
    return 3 + 0 * run.two if np.sqrt(run.two) ** 2 + run.tiny**10 <= run.two else 1 + 0 * run.two


@theorem.lemma("a bound given what does not happen", holds=always, bound=-1, assumes=(), on="numbers",
               given=lambda run: run.x > 1)  # fmt: skip
def no_event(run):
    return run.x


@theorem.lemma("what cancels is no divisor", holds=always, bound=10**30, assumes=(), on="numbers")
def unbounded(run):
    return 1 / (np.sqrt(run.two) ** 2 - run.two)


@theorem.lemma("rounds an enclosed number", holds=always, bound=3, assumes=(), on="numbers")
def through_float(run):
    return float(np.abs(run.x).max())


@theorem.lemma("rounds a measured drift", holds=always, bound=1, assumes=(), on=("measured", "natural pinn"))
def drift_through_float(run):
    return float(run.drift[-1]) / 100


@theorem.lemma("rounds what a first step leaves", holds=always, bound=100, assumes=(), on="first step")
def step_through_float(run):
    return float(run.first_step.whole)


@theorem.lemma("rounds through math", holds=always, bound=3, assumes=(), on="numbers")
def through_math(run):
    return math.exp(run.x[0])


@theorem.lemma("measures what float64 rounds", holds=always, bound=3, assumes=(), on="numbers")
def own_float(run):
    """(1e16 + 3) - 1e16 is 3, and 4 in float64: the claim is true."""
    return (np.float64(1e16) + 3.0) - 1e16


@theorem.lemma("factors a matrix", holds=always, bound=3, assumes=(), on="numbers")
def factors(run):
    return np.linalg.cholesky(run.matrix)[0, 0]


@theorem.lemma("asks whether a number is one", holds=always, bound=3, assumes=(), on="numbers")
def asks(run):
    return np.where(np.isnan(run.x), 0.0, run.x)


@theorem.lemma("uses a number as a size", holds=always, bound=3, assumes=(), on="numbers")
def size(run):
    return np.zeros(int(run.scale * 2.5)).sum()


@theorem.lemma("a rounding error without end", holds=always, bound=n, assumes=(), on="numbers",
               error=lambda run: np.inf)  # fmt: skip
def endless_error(run):
    return run.x @ run.x


@theorem.lemma("a rounding error below zero", holds=always, bound=n, assumes=(), on="numbers",
               error=lambda run: -1.0)  # fmt: skip
def negative_error(run):
    return run.x @ run.x


@theorem.lemma("a bound that float64 can't hold", holds=always, bound=sympy.exp(1000 * sympy.Symbol("two")),
               assumes=(), on="numbers")  # fmt: skip
def beyond_float64(run):
    return run.x @ run.x


@theorem.lemma("speaks of what no run knows", holds=always, bound=n, assumes=(), on="numbers")
def unknown(run):
    return run.nowhere


@theorem.lemma("multiplies what does not fit", holds=always, bound=n, assumes=(), on="numbers")
def misfit(run):
    return run.matrix @ np.ones(3)


@theorem.lemma("a fair coin", holds=with_probability(Rational(2, 5)), bound=Rational(1, 2), assumes=(), on="numbers")
def coin(run):
    return np.random.default_rng(run.instance.seed).random()


@theorem.lemma("a sum of symbols", holds=identity)
def symbolic():
    return n + k, k + n


# ---- runs that are refused ----------------------------------------------------------------------------------------


@theorem.lemma("a drift of its own is zero", holds=always, bound=0, assumes=(), on="regression with a drift of its own")
def redefined(run):
    return run.drift


@theorem.lemma("twice the weights, asked for twice", holds=always, bound=100, assumes=(), on="pinn that looks twice")
def looks_twice(run):
    return np.abs(run.doubled_weights).max()


@theorem.lemma("a width of at most 4", holds=always, bound=4, assumes=(), on="a run of no known kind")
def width(run):
    return run.m


@theorem.lemma("a first step's trajectory", holds=always, bound=100, assumes=(), on="first step")
def no_trajectory(run):
    return run.trajectory.drift


@theorem.lemma("a first step's outputs", holds=always, bound=100, assumes=(), on="first step, signs +1")
def no_outputs(run):
    return run.at_start.outputs
