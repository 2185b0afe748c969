"""One call for a physics-informed network in a notebook: its spectrum, its stable step, and who can train it."""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from ntkverify.arrays import Array, positive_number, whole_number
from ntkverify.diagnosis.problem import Equation, Problem, State, problem_of, state_of
from ntkverify.diagnosis.spectrum import NaturalGradient, Spectrum
from ntkverify.display import details_html, table_html, tagged
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.backends import executor_of, fastest_backend
from ntkverify.execution.draw import draw_weights
from ntkverify.execution.machine.memory import refuse_beyond_memory
from ntkverify.execution.machine.threads import one_blas_thread
from ntkverify.execution.samples import collect_samples
from ntkverify.symbolic.limit.limits import limit_gram
from ntkverify.symbolic.network.activations import Activation
from ntkverify.symbolic.network.tangent import sums_neuron
from ntkverify.training import GradientDescent, Trajectory, follow

#: seconds after which a progress bar appears
_PATIENCE = 1.0


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """A physics-informed network before it is trained, ``u(x) = m^-1/2 sum_r a_r sigma(w_r . x + b_r)``.

    Its residuals are those of the equation at n_b points of each block, divided by the square root of n_b, its loss is
    half their squared norm.

    Parameters
    ----------
    problem : Problem
        Equation and points.
    activation, width, seed
        Of the network.
    limit, initial : Spectrum
        Of H^inf and of H(0), at the same state where the equation is nonlinear.
    residuals : array (N,)
        r(0): those of that state.
    state : dict of str to array
        Where a nonlinear equation was linearised: the sums of each block.
    state_name : str
        What that state is.
    steps : int
        The number K of steps that is spoken of.
    step : float
        Their length.
    """

    problem: Problem
    activation: str
    width: int
    seed: int
    limit: Spectrum
    initial: Spectrum
    residuals: Array
    state: Mapping[str, Array]
    state_name: str
    steps: int
    step: float

    @property
    def natural_gradient(self) -> NaturalGradient:
        """Whether a natural gradient step can be computed."""
        return NaturalGradient(
            condition=math.sqrt(self.initial.condition),
            columns=self.width * len(self.problem.neuron.weights),
            rows=len(self.residuals),
        )

    @property
    def learned(self) -> int:
        """Modes of H(0) that K linearised steps reduce to a hundredth."""
        return self.initial.learned(self.step, self.steps)

    @property
    def shares(self) -> Array:
        """Share of the initial loss along each eigenvector of H(0), (N,)."""
        along = (self.initial.vectors.T @ self.residuals) ** 2
        total = along.sum()
        return np.asarray(along / total if total else along)

    def predicted_losses(self, steps: int | None = None) -> Array:
        """L(k) of the linearised training, k = 0, ..., K, (K+1,)."""
        count = self.steps if steps is None else steps
        along = (self.initial.vectors.T @ self.residuals) ** 2 / 2
        return np.array([float(along @ self.initial.left(self.step, k) ** 2) for k in range(count + 1)])

    def train(self, steps: int | None = None, *, progress: bool = True) -> Trajectory:
        """Train the network by gradient descent with `step`, to be compared with `predicted_losses`."""
        count = self.steps if steps is None else steps
        backend = fastest_backend(self.problem.samples, self.width)
        executor = executor_of(self.problem.samples, backend=backend)
        weights, frozen = map(executor.from_host, draw_weights(self.problem.neuron, self.seed, self.width))
        with _bar(progress, "training", count) as bar, np.errstate(over="ignore", invalid="ignore"):

            def seen(at: Any) -> int:
                bar.update(1 if at.step else 0)
                return int(at.step)

            return follow(executor, weights, frozen, GradientDescent(self.step), steps=count, record={"seen": seen})

    @property
    def modes(self) -> list[dict[str, Any]]:
        """One row a mode of H(0): eigenvalue, share of r(0)'s square, what K steps leave, steps to a hundredth."""
        left, until = self.initial.left(self.step, self.steps), self.initial.steps_until(self.step)
        rows = zip(self.initial.eigenvalues, self.limit.eigenvalues, self.shares, left, until, strict=True)
        return [
            {
                "mode": i,
                "H(0)": float(h),
                "H^inf": float(l),
                "share of loss": float(s),
                "left": float(x),
                "steps": float(t),
            }
            for i, (h, l, s, x, t) in enumerate(rows)
        ]

    def to_frame(self) -> Any:
        """`modes` as a pandas data frame; needs pandas."""
        from ntkverify.display import data_frame

        return data_frame(self.modes)

    def rows(self) -> list[tuple[str, str, str]]:
        """What, for H^inf, for H(0)."""
        both = (self.limit, self.initial)
        found = [
            ("largest eigenvalue", *(f"{s.norm:.4g}" for s in both)),
            ("least eigenvalue", *(f"{s.least:.4g}" + (" (0 to rounding)" if s.is_singular else "") for s in both)),
            ("condition number", *(f"{s.condition:.3g}" for s in both)),
            ("largest stable step 2/||H||", *(f"{s.stable_step:.4g}" for s in both)),
        ]
        learned = (
            f"{s.learned(self.step, self.steps)} of {len(self.residuals)}" if s.is_stable(self.step) else "-"
            for s in both
        )
        found.append((f"modes learned in {self.steps:,} steps", *learned))
        return [(a, b, c) for a, b, c in found]

    @property
    def notes(self) -> list[str]:
        """What the numbers mean, sentence by sentence."""
        found = [
            "stable: with a step below 2/||H|| the linearised residual r(k+1) = (I - eta H) r(k) falls along every "
            "eigenvector; at 2/||H|| the largest mode oscillates, beyond it it grows until H itself changes.",
            *self._learning,
            f"natural gradient: {self.natural_gradient.words}.",
            f"||H(0) - H^inf||/||H^inf|| = {self.deviation:.2g} at {self.width:,} neurons, falling like m^(-1/2).",
        ]
        if not self.problem.is_linear:
            found.append(
                f"the equation is nonlinear: both kernels are linearised at {self.state_name}; in training they move "
                "with it."
            )
        return found

    @property
    def _learning(self) -> list[str]:
        """What gradient descent with this step makes of the residuals."""
        found = []
        if not self.residuals.any():
            found.append("every residual is 0 at the start: there is nothing to learn.")
        for spectrum in (self.limit, self.initial):
            if not spectrum.is_stable(self.step):
                found.append(
                    f"the step {self.step:.4g} is beyond the largest stable step {spectrum.stable_step:.4g} of "
                    f"{spectrum.name}: the linearised residual grows, and no mode is counted as learned."
                )
        if self.limit.is_stable(self.step) or self.initial.is_stable(self.step):
            learned = f"modes are learned when |1 - eta lambda|^K <= 1/100, at the step eta = {self.step:.4g}"
            if self.residuals.any() and self.initial.is_stable(self.step):
                last = float(self.shares @ self.initial.left(self.step, self.steps) ** 2)
                learned += f"; the linearised loss is then {last:.3g} of what it was"
            found.append(f"{learned}.")
        return found

    @functools.cached_property
    def deviation(self) -> float:
        """||H(0) - H^inf||/||H^inf|| in the spectral norm."""
        parts = [(s.vectors * s.eigenvalues) @ s.vectors.T for s in (self.initial, self.limit)]
        return float(np.linalg.norm(parts[0] - parts[1], 2) / self.limit.norm)

    def plot(self, *, train: bool = False) -> Any:
        """A matplotlib figure: both spectra, and the loss that they predict (with `train` the true one beside it)."""
        from ntkverify.diagnosis.figures import diagnosis_figure

        return diagnosis_figure(self, train=train)

    def lines(self, *, width: int = 80) -> list[str]:
        """Text for a terminal."""
        rows = [("", "H^inf", "H(0)"), *self.rows()]
        sizes = [max(len(row[i]) for row in rows) for i in range(3)]
        table = ["  ".join([a.ljust(sizes[0]), b.rjust(sizes[1]), c.rjust(sizes[2])]) for a, b, c in rows]
        notes = [line for note in self.notes for line in textwrap.wrap(note, width, subsequent_indent="  ")]
        return [self._title, "", *table, "", *notes]

    @property
    def _title(self) -> str:
        sizes = ", ".join(f"{len(x)} {name}" for name, x in self.problem.points.items())
        return f"{self.problem.name}, {self.activation}, {self.width:,} neurons, {sizes} points"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<Diagnosis: {self._title}; condition number {self.initial.condition:.3g}>"

    def _repr_html_(self) -> str:
        headings = ("mode", "H(0)", "H^inf", "share of loss", "left", "steps")
        modes = [tuple(f"{row[name]:.4g}" for name in headings) for row in self.modes]
        return "".join(
            [
                tagged("strong", self._title),
                table_html(("", "H^inf", "H(0)"), self.rows()),
                *(tagged("p", note) for note in self.notes),
                details_html("mode by mode", table_html(headings, modes)),
            ]
        )


def diagnose(
    equation: str | Equation | Mapping[str, str | Equation],
    activation: str | Activation = "tanh",
    points: Any = None,
    *,
    width: int = 1024,
    targets: Mapping[str, Any] | None = None,
    state: State | None = None,
    trainable: Iterable[str] = ("inner", "inner_bias"),
    steps: int = 1000,
    step: float | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Diagnosis:
    """Diagnose a physics-informed network before training it.

    Parameters
    ----------
    equation : str, callable, or mapping of block name to either
        "heat", "poisson", "wave", "helmholtz", "biharmonic", "burgers", ... (`EQUATIONS`), or a function of the
        coordinates that returns an `Operator`. It is put to the block "interior"; all other blocks have u itself.
    activation : str or Activation
        "tanh", "relu3", "erf", "sin", "softplus", ...
    points : mapping of block name to array (n_b, coordinates), or array
        Samples; an array is the block "interior". Time, where there is one, is the first coordinate.
    width : int
        Number m of neurons of the network that is drawn.
    targets : mapping of block name to array (n_b,), optional
        Right-hand sides and boundary values; 0 where absent. They move r(0) alone, never a kernel.
    state : callable or mapping, optional
        Where a nonlinear equation is linearised: a function of the coordinates that returns u as a sympy expression, or
        the sums by block; by default the network that is drawn.
    trainable : iterable of {"inner", "inner_bias", "outer", "outer_bias"}
        Weights that are trained; outer weights are fair signs where they are not.
    steps, step : int, float
        K steps of gradient descent of this length; 1/||H(0)|| by default.
    seed : int
        Of the weights.
    progress : bool
        Whether a bar appears when it takes more than a second.

    Returns
    -------
    Diagnosis

    Raises
    ------
    NtkVerifyError
        For points, equations or activations that do not fit together.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(size=(8, 1))
    >>> diagnose("poisson", "tanh", {"interior": x, "boundary": [[0.0], [1.0]]}, width=256)  # doctest: +SKIP
    <Diagnosis: poisson, tanh, 256 neurons, 8 interior, 2 boundary points; condition number 4.1e+05>
    """
    if points is None:
        raise NtkVerifyError("there are no points; give an array, or a mapping of block name to array.")
    width, steps = whole_number("width", width, least=1), whole_number("steps", steps, least=1)
    seed = whole_number("seed", seed, least=0)
    step = None if step is None else positive_number("step", step)
    with _bar(progress, "", 4) as bar, one_blas_thread():
        bar.set_description("equation")
        problem = problem_of(equation, activation, points, targets=targets, trainable=trainable)
        total = problem.samples.total
        refuse_beyond_memory(8 * 6 * total**2, f"the spectrum of {total} residuals")
        bar.update()
        bar.set_description("network")
        at, gram = _drawn(problem, state, seed=seed, width=width)
        bar.update()
        bar.set_description("kernel of infinite width")
        limit = limit_gram(problem.neuron)
        bar.update()
        bar.set_description("its Gram matrix")
        matrix, error = limit.matrix_with_error(problem.points, sums=at, normalise=True)
        bar.update()
        limiting = Spectrum.of("H^inf", matrix, float(np.linalg.norm(error)))
        initial = Spectrum.of("H(0)", gram)
    name = activation if isinstance(activation, str) else activation.name
    said = "the network that was drawn" if state is None else "the state that was given"
    chosen = 1 / initial.norm if step is None else step
    return Diagnosis(problem, name, width, seed, limiting, initial, problem.residuals_at(at), at, said, steps, chosen)


def _drawn(problem: Problem, state: State | None, *, seed: int, width: int) -> tuple[dict[str, Array], Array]:
    """The state at which the equation is linearised, and H(0) there, of a network that is drawn."""
    executor = executor_of(problem.samples, backend=fastest_backend(problem.samples, width))
    weights, frozen = map(executor.from_host, draw_weights(problem.neuron, seed, width))
    sums = [np.asarray(executor.to_host(phi), np.float64) for phi in executor.forward(weights, frozen).sums]
    at = state_of(problem, state, sums)
    if state is None or problem.is_linear:
        return at, np.asarray(executor.to_host(executor.gram(weights, frozen)))
    return at, _at_state(problem, at, _kernel_of_sums(problem, weights, frozen, executor))


def _bar(shown: bool, what: str, total: int) -> Any:
    return tqdm(desc=what, total=total, leave=False, delay=_PATIENCE, disable=None if shown else True)


def _kernel_of_sums(problem: Problem, weights: Any, frozen: Any, executor: Any) -> Array:
    """K_Phi(0), (S, S): the Gram matrix of the sums before the pointwise residuals act on them."""
    neuron = sums_neuron(problem.neuron)
    points = {block.name: problem.points[block.name.partition(": ")[0]] for block in neuron.blocks}
    zero = {name: np.zeros(len(x)) for name, x in points.items()}
    of_sums = executor_of(collect_samples(neuron, points, zero), backend="array")
    return np.asarray(of_sums.gram(executor.to_host(weights), executor.to_host(frozen)))


def _at_state(problem: Problem, state: Mapping[str, Array], kernel: Array) -> Array:
    """Lambda K_Phi Lambda^T with the scales of the residuals, Lambda the slopes at a state."""
    total = problem.samples.total
    slopes, column = np.zeros((total, len(kernel))), 0
    for block, parts in zip(problem.samples.blocks, problem.slopes(state), strict=True):
        rows = np.arange(block.rows.start, block.rows.stop)
        for slope in parts:
            slopes[rows, column + np.arange(block.size)] = block.scale * slope
            column += block.size
    return np.asarray(slopes @ kernel @ slopes.T)
