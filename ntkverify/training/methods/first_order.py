"""First-order methods: gradient descent, with momentum, on parts of the samples, implicit; Adam as a baseline."""

from __future__ import annotations

from typing import Any

import numpy as np

from ntkverify.arrays import real_number
from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor
from ntkverify.measures.snapshot import Snapshot
from ntkverify.training.least_norm import least_norm
from ntkverify.training.loop import follow
from ntkverify.training.record import Measurements, Trajectory, prepare


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
    """An implicit step linearised once: ``theta <- theta - eta J^T (I + eta J J^T)^-1 r``.

    For linear residuals this is the proximal step ``argmin L + |theta - theta_k|^2 / (2 eta)``, stable at every eta.
    """

    name = "implicit gradient descent"
    copies = 2

    def __init__(self, eta: float) -> None:
        self.eta = eta

    def change(self, at: Snapshot) -> Any:
        """``-J^T (J J^T + 1/eta)^-1 r``."""
        right = at.forward.residuals
        found = least_norm(at.executor, at.weights, at.frozen, at.forward, right, damping=1 / self.eta)
        return -found.direction

    def notes(self) -> dict[str, Any]:
        """Name and step."""
        return {"method": self.name, "eta": self.eta}


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
