"""First-order methods: gradient descent, with momentum, on parts of the samples, implicit; Adam as a baseline."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ntkverify.arrays import real_number, whole_number
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.measures.snapshot import Snapshot
from ntkverify.training.least_norm import least_norm
from ntkverify.training.loop import follow
from ntkverify.training.record import Measurements, Trajectory, check_finite, prepare


def gradient_of(at: Snapshot) -> Any:
    """Gradient of the loss at a moment of training, (m, p)."""
    return at.executor.gradient(at.weights, at.frozen, at.forward)


class GradientDescent:
    """``theta <- theta - eta grad L``; executors take the step in one sweep."""

    name = "gradient descent"
    copies = 0

    def __init__(self, eta: Any) -> None:
        self.eta = eta

    def change(self, at: Snapshot) -> Any:
        """None: the executor's own step."""
        return None

    def notes(self) -> dict[str, Any]:
        """Name and step."""
        return {"method": self.name, "eta": self.eta}


def _momentum(name: str, value: Any) -> Any:
    """A share of the velocity that is kept, from 0 to below 1; balls pass as they are."""
    if isinstance(value, str | bool | int | float | np.floating) and not 0 <= real_number(name, value) < 1:
        raise NtkVerifyError(f"{name} must be at least 0 and below 1, not {value!r}.")
    return value


class HeavyBall:
    """``v <- beta v - eta grad L(theta)``, ``theta <- theta + v`` (Polyak 1964).

    Parameters
    ----------
    eta, beta : scalar
        Step and momentum.
    nesterov : bool
        Take ``theta + beta v - eta grad L(theta)`` instead: Nesterov's method, its extrapolated points being the
        weights (Sutskever, Martens, Dahl and Hinton 2013, section 2.1).
    """

    copies = 2

    def __init__(self, eta: Any, beta: Any, *, nesterov: bool = False) -> None:
        self.eta, self.beta, self.nesterov = eta, _momentum("beta", beta), nesterov
        self.name = "Nesterov's method" if nesterov else "heavy ball"
        self._velocity: Any = None

    def change(self, at: Snapshot) -> Any:
        """The velocity after this step, or the extrapolation along it."""
        step = -self.eta * gradient_of(at)
        self._velocity = step if self._velocity is None else self.beta * self._velocity + step
        return self.beta * self._velocity + step if self.nesterov else self._velocity

    def notes(self) -> dict[str, Any]:
        """Name, step and momentum."""
        return {"method": self.name, "eta": self.eta, "beta": self.beta}


class StochasticGradient:
    """Gradient descent on a part of the samples, scaled up to all of them: ``theta <- theta - eta (N/B) J_S^T r_S``.

    Parameters
    ----------
    eta : scalar
        Step.
    batch : int
        Size B of the parts; every step draws one without replacement.
    seed : int
        Entropy of the parts.
    """

    name = "stochastic gradient descent"
    copies = 1

    def __init__(self, eta: Any, *, batch: int, seed: int) -> None:
        self.eta, self.batch, self.seed = eta, batch, seed
        self._rng = np.random.default_rng(seed)
        self._batches: list[Any] = []

    def change(self, at: Snapshot) -> Any:
        """Minus the step times the gradient of the part that is drawn."""
        count = len(at.forward.residuals)
        if not 1 <= self.batch <= count:
            raise NtkVerifyError(f"a batch must hold 1 to {count} of the {count} residuals, not {self.batch}")
        chosen = self._rng.choice(count, self.batch, replace=False)
        self._batches.append(chosen)
        return -(self.eta * count / self.batch) * at.gradient_on(chosen)

    def notes(self) -> dict[str, Any]:
        """Name, step, batch and seed, and the samples of every step, (K, B)."""
        drawn = np.array(self._batches, dtype=np.int64).reshape(-1, self.batch)
        return {"method": self.name, "eta": self.eta, "batch": self.batch, "seed": self.seed, "batches": drawn}


class ImplicitGradient:
    """An implicit step, ``theta+ = theta - eta grad L(theta+)``, by Gauss-Newton; the first round linearises at theta.

    A round takes r to be linear about the point v that the last one reached: ``theta - J^T (J J^T + 1/eta)^-1 (r + J
    (theta - v))``, J and r at v. Its fixed points are implicit steps, to which it converges linearly, by eta ||r||
    times the curvature of r. For linear residuals one round is the proximal step, ``argmin L + |theta -
    theta_k|^2 / (2 eta)``, stable at every eta.

    Parameters
    ----------
    eta : float
        Step.
    rounds : int
        Most rounds; they end earlier where one moves the weights by rounding alone, or no less than that before: there
        is no convergence then. 1 is the step linearised once.
    """

    name = "implicit gradient descent"
    copies = 5

    def __init__(self, eta: Any, *, rounds: int = 1) -> None:
        self.eta, self.rounds = eta, whole_number("rounds", rounds, least=1)
        self._rounds: list[int] = []
        self._left: list[float] = []

    def change(self, at: Snapshot) -> Any:
        """Where the last round went that moved the weights less than that before."""
        executor = at.executor
        check_finite(executor, at.forward, at.step)
        gram = None if executor.is_exact else at.gram
        change = -self._solved(at, at.weights, at.forward, at.forward.residuals, gram=gram)
        moved, rounds = executor.dot(change, change), 1
        # what the weights themselves are rounded by; balls are not
        least = 0.0 if executor.is_exact else executor.dot(at.weights, at.weights) * np.finfo(np.float64).eps ** 2
        while rounds < self.rounds and moved > least:
            longer = self._round(at, change)
            rounds, now = rounds + 1, executor.dot(longer - change, longer - change)
            if not now < moved:
                break
            change, moved = longer, now
        self._rounds.append(rounds)
        size = executor.dot(change, change)
        self._left.append(math.sqrt(moved / size) if size else 0.0)
        return change

    def _round(self, at: Snapshot, change: Any) -> Any:
        """The change of the weights after one more round, from the point that the last change reaches."""
        executor, frozen = at.executor, at.frozen
        reached = executor.centred(at.weights + change)
        forward, back = executor.forward(reached, frozen), at.weights - reached
        there = executor.copy(reached)
        linear = executor.measured_step(there, frozen, forward, 0, start=reached, change=back, gram=False).linear
        return -self._solved(at, reached, forward, forward.residuals + linear)

    def _solved(self, at: Snapshot, weights: Any, forward: Any, right: Any, gram: Any = None) -> Any:
        """``J^T (J J^T + 1/eta)^-1 right`` at these weights."""
        damping = 1 / self.eta
        return least_norm(at.executor, weights, at.frozen, forward, right, damping=damping, gram=gram).direction

    def notes(self) -> dict[str, Any]:
        """Name, step, and of each step its rounds, and the last one's move as a share of the step's length."""
        seen = {"rounds": np.array(self._rounds, dtype=int), "left": np.array(self._left)}
        return {"method": self.name, "eta": self.eta, **seen}


class Adam:
    """Full-batch Adam with bias correction (Kingma and Ba, arXiv:1412.6980, algorithm 1), a baseline."""

    name = "Adam"
    copies = 5

    def __init__(self, eta: float, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.eta, self.epsilon = eta, epsilon
        self.beta_1, self.beta_2 = _momentum("beta_1", beta_1), _momentum("beta_2", beta_2)
        self._moments: tuple[Any, Any] | None = None

    def change(self, at: Snapshot) -> Any:
        """The bias-corrected step."""
        gradient = gradient_of(at)
        first, second = (gradient * 0, gradient * 0) if self._moments is None else self._moments
        first += (1 - self.beta_1) * (gradient - first)
        second += (1 - self.beta_2) * (gradient**2 - second)
        self._moments = first, second
        k = at.step + 1
        root = (second / (1 - self.beta_2**k)) ** 0.5
        return -self.eta * (first / (1 - self.beta_1**k)) / (root + self.epsilon)

    def notes(self) -> dict[str, Any]:
        """Name and settings."""
        settings = {"eta": self.eta, "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {"method": self.name, **settings}


def gradient_descent(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    eta: float,
    steps: int,
    every: int = 1,
    record: Measurements | None = None,
    in_place: bool = False,
) -> Trajectory:
    """Gradient descent ``theta <- theta - eta grad L``.

    Parameters
    ----------
    executor : Executor
        The problem; on the CPU each step is one fused sweep.
    weights, frozen : arrays, shape (m, p) and (m, q)
        Initial weights.
    eta : float
        Step.
    steps : int
        Number of steps.
    every : int
        A moment is kept at step 0 and after every so many steps.
    record : mapping from name to function of a Snapshot, optional
        Further quantities to keep.
    in_place : bool
        Train the given array instead of a copy; halves the memory of a very wide network.
    """
    prepare(weights, GradientDescent.name, copies=0, steps=steps, eta=eta)
    return follow(
        executor, weights, frozen, GradientDescent(eta), steps=steps, every=every, record=record, in_place=in_place
    )


def adam(
    executor: Executor,
    weights: Any,
    frozen: Any,
    *,
    eta: float,
    steps: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    every: int = 1,
    record: Measurements | None = None,
) -> Trajectory:
    """Full-batch `Adam`, as a baseline."""
    prepare(weights, Adam.name, copies=0, steps=steps, eta=eta)
    method = Adam(eta, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    return follow(executor, weights, frozen, method, steps=steps, every=every, record=record)
