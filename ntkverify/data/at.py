"""A theorem at given data, read from its roles: step, width, rate, steps, cost, and which assumptions fail."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from ntkverify.data.claims import ClaimsAt, claims_at
from ntkverify.data.cost import Cost, cost_of_start, estimated_cost
from ntkverify.data.files import Data, read_data, unit_rows
from ntkverify.data.hypotheses import SMALL, Met, Prescribed, least_width, margins_of
from ntkverify.data.limit import (
    LimitBounds,
    LimitSpectrum,
    enclosed_rate,
    is_beyond_memory,
    limit_bounds,
    limit_spectrum,
    refuse_repeated,
    refuse_singular,
)
from ntkverify.data.roles import (
    blocks_of,
    family_at,
    parameters_at,
    sets_its_step,
    shares_of,
    split_at,
)
from ntkverify.data.shown import Shown
from ntkverify.data.steps import Stepping
from ntkverify.errors import NtkVerifyError
from ntkverify.glossary import words
from ntkverify.judging.draws import simplest_instance
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.names import chosen
from ntkverify.theorem.parts import Family
from ntkverify.theorem.theorem import Theorem

#: draws of the weights that claims about every draw are put to
DRAWS = 10


class TheoremAt(Stepping, Shown):
    """A theorem at given data; what takes time is computed when it is first asked for.

    Parameters
    ----------
    theorem : Theorem
        With its roles.
    data : mapping, pair of arrays, path, or Data
        See `ntkverify.data.files.read_data`.
    targets : path or array, optional
        Targets in a file of their own.
    unit : bool
        Take the inputs x as (x, 1)/||(x, 1)||, for theorems on unit inputs.
    family : str, optional
        Whose runs and parameters are taken: the first of the conclusions' families by default.
    width, step, steps : int, float, int, optional
        Of a run; what the theorem prescribes by default, and as many steps as the rate needs, `MOST_STEPS` at most.
        A step is refused where every run sets its own, as heavy ball does by H(0).
    split : str, optional
        How the slack is split: by default the last that is declared, or the first where a width is given.
    relax : sequence of str
        Assumptions that are not asked for, by their names or a part that only one has.
    certify : bool, optional
        Whether lambda_0 is certified in balls; where it is cheap by default.
    backend : str
        What networks run on.
    **parameters : float
        The theorem's parameters, ``delta=0.05``.

    Raises
    ------
    NtkVerifyError
        One sentence for data that no theorem can take, and for names that the theorem does not have.
    """

    def __init__(
        self,
        theorem: Theorem,
        data: Any,
        *,
        targets: Any = None,
        unit: bool = False,
        family: str | None = None,
        width: int | None = None,
        step: float | None = None,
        steps: int | None = None,
        split: str | None = None,
        relax: Sequence[str] = (),
        certify: bool | None = None,
        backend: str = "auto",
        **parameters: float,
    ) -> None:
        self.whole = theorem
        self.base = family_at(theorem, family)
        self.drawn = simplest_instance(self.base)
        self._drawn_by: dict[str, Instance] = {self.base.name: self.drawn}
        self.shapes = blocks_of(theorem, self.drawn)
        self.data = read_data(data, self.shapes, targets=targets)
        if unit:
            self.data = _with_unit_inputs(self.data, self.shapes)
        self.backend, self._certify = backend, certify
        self._known: dict[str, Prescribed] = {}
        self.asked_width, self.asked_step, self._asked_steps = width, step, steps
        for name, value in (("width", width), ("step", step), ("steps", steps)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise NtkVerifyError(f"{name} must be positive, not {value}.")
        if isinstance(relax, str):
            raise NtkVerifyError(f"relax is a list of assumptions, not one; write relax=[{relax!r}].")
        self.relax = tuple(_named(name, list(theorem.assumptions), "assumption", theorem) for name in relax)
        self.given_parameters = parameters_at(theorem, self.data.blocks, self.drawn, parameters)
        #: whether every run sets a step of its own, by its draw of the weights, and reads none
        self.sets_step = sets_its_step(self._bare_run(self._resting), self.drawn)
        if step is not None and self.sets_step:
            raise NtkVerifyError(
                f"theorem {theorem.title!r} sets the step of every run itself; leave --step (step=) out."
            )
        if hasattr(type(self._bare_run(self._resting)), "limit_gram_error"):
            points = [b for b, shape in self.shapes.items() if len(shape) > 1 and b in self.data.blocks]
            if is_beyond_memory(self._bare_run(self._resting)):
                refuse_repeated(self.data, points)
                _ = self.bounds  # refused here where there are none
            else:
                refuse_singular(self.data, points, self._at_rest)
        if split is not None:
            split = _named(split, list(theorem.roles.splits), "split", theorem)
        # a split that is optimal for the prescribed width may be absurd at another
        self.split = split or (list(theorem.roles.splits) or [""])[-1 if width is None else 0]

    # -- the parts --------------------------------------------------------------------------------------------------

    def _instance(self, parameters: Mapping[str, float], *, width: int, step: float, steps: int = 0) -> Instance:
        return Instance(
            theorem=self.whole.id,
            family=self.base.name,
            data=self.data.blocks,
            parameters=parameters,
            width=width,
            step=step,
            steps=steps,
        )

    def run_of(self, instance: Instance, **options: Any) -> Any:
        """An instance brought to life, on the backend of these data unless another is named.

        Where H^inf does not fit in memory, bounds stand for its eigenvalues: a smaller lambda_0 asks for more neurons,
        a larger ||H^inf|| for a smaller step.
        """
        run = self._bare_run(instance, **options)
        if self.bounds is not None:
            vars(run).update(lambda_0=self.bounds.least, limit_norm=self.bounds.norm)
        return run

    def _bare_run(self, instance: Instance, **options: Any) -> Any:
        return self.base.run(instance, self.whole, **{"backend": self.backend, **options})

    @functools.cached_property
    def bounds(self) -> LimitBounds | None:
        """Bounds on the spectrum of H^inf, where it is too large for this machine."""
        run = self._bare_run(self._resting)
        return limit_bounds(run) if is_beyond_memory(run) else None

    @property
    def _resting(self) -> Instance:
        return self._instance(self.given_parameters, width=SMALL, step=self.drawn.step or 1.0)

    @functools.cached_property
    def _at_rest(self) -> Any:
        """A run that is asked for what no draw of the weights enters."""
        return self.run_of(self._resting)

    @functools.cached_property
    def limit(self) -> LimitSpectrum | LimitBounds | None:
        """The spectrum of H^inf, or bounds on it; None where the runs of this theorem have no single limit."""
        if self.bounds is not None:
            return self.bounds
        if not hasattr(type(self._at_rest), "limit_gram_error"):
            return None
        return limit_spectrum(self._at_rest, certify=self._certify)

    # -- what the theorem says here ---------------------------------------------------------------------------------

    @property
    def prescribed(self) -> list[Prescribed]:
        """The sufficient width by every split of the slack that the theorem declares; empty without a width."""
        if self.whole.roles.width is None:
            return []
        return [self._prescribed(name) for name in self.whole.roles.splits or ("",)]

    def _prescribed(self, split: str) -> Prescribed:
        if split not in self._known:
            parameters = {**self.given_parameters, **(split_at(self.whole, split, self._values) if split else {})}
            width = least_width(
                self.whole.roles.width,
                lambda m: self.run_of(self._instance(parameters, width=m, step=self.step)),
            )
            self._known[split] = Prescribed(split, width, parameters)
        return self._known[split]

    @property
    def _values(self) -> dict[sympy.Symbol, Any]:
        """Values of the symbols of the width that are not free: what a split is chosen for."""
        role = self.whole.roles.width
        symbols = self.whole.expand(role).free_symbols
        if hasattr(type(self._at_rest), "limit_gram_error"):  # what a split is often chosen by
            symbols = symbols | {sympy.Symbol("limit_norm", positive=True)}
        values = {s: getattr(self._at_rest, str(s)) for s in symbols if str(s) not in shares_of(self.whole)}
        return {s: float(v) if isinstance(v, float | np.floating) else int(v) for s, v in values.items()}

    @property
    def _split(self) -> Prescribed | None:
        return None if self.whole.roles.width is None else self._prescribed(self.split)

    @property
    def prescribed_width(self) -> int | None:
        """The sufficient width by the chosen split."""
        return None if self._split is None else self._split.width

    @property
    def width(self) -> int:
        """The width of a run: what was asked for, what is prescribed, or what the family draws."""
        return int(self.asked_width or self.prescribed_width or self.drawn.width)

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters with the shares of the chosen split."""
        return dict(self._split.parameters) if self._split else self.given_parameters

    @property
    def rate_known(self) -> str:
        """How the rate of a kernel that is a sum is known, where the runs can enclose it; else empty."""
        if self.limit is not None or not hasattr(type(self._at_rest), "certified_rate"):
            return ""
        return enclosed_rate(self._at_rest, self.whole.roles.rate, certify=self._certify)

    @functools.cached_property
    def instance(self) -> Instance:
        """The instance that a run at these data has, but for the seed."""
        return self._instance(self.parameters, width=self.width, step=self.step, steps=self.steps)

    def cost(self, steps: int | None = None) -> Cost | None:
        """What one run takes here, by default until the guaranteed loss is at 1e-6.

        None where nothing is trained, or where the Gram matrices that a run keeps do not fit.
        """
        if self.bounds is not None or not hasattr(type(self._at_rest), "trajectory"):
            return None
        if not self.trains:  # the theorem speaks of a network as it is drawn
            return cost_of_start(self.run_of, self.instance)
        wanted = steps or self.steps_to() or self.steps
        return estimated_cost(self.run_of, replace(self.instance, steps=wanted))

    def _margins(self, parameters: Mapping[str, float], width: int, step: float) -> list[Met]:
        return margins_of(
            self.whole, lambda m: self.run_of(self._instance(parameters, width=m, step=step, steps=1)), width
        )

    @functools.cached_property
    def assumptions(self) -> list[Met]:
        """Every assumption with its margin at these data, this step and this width."""
        return self._margins(self.parameters, self.width, self.step)

    # -- its claims here --------------------------------------------------------------------------------------------

    @functools.cached_property
    def claims(self) -> ClaimsAt:
        """Which claims are put to these data, which are not, and why."""
        return claims_at(self)

    def drawn_by(self, family: Family) -> Instance:
        """The simplest instance of a family, drawn once."""
        if family.name not in self._drawn_by:
            self._drawn_by[family.name] = simplest_instance(family)
        return self._drawn_by[family.name]

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Claims that are not put to these data, and why."""
        return self.claims.left_out

    @property
    def beyond(self) -> dict[str, str]:
        """Claims that are put to these data although the theorem says nothing of them here, and why not."""
        return self.claims.beyond

    @functools.cached_property
    def family(self) -> Family:
        """These data as a family of instances, under the name of the one whose runs it takes."""
        instance = self.instance
        return Family(self.base.name, lambda: instance, self.base.run, dict.fromkeys(self.base.counts, DRAWS))

    @functools.cached_property
    def theorem(self) -> Theorem:
        """The claims on these data alone, without asking for what is relaxed: what a check or a slack profile takes."""
        claims = {
            name: replace(c, assumes=tuple(a.name for a in self.whole.assumptions_of(c) if a.name not in self.relax))
            for name, c in self.claims.kept.items()
        }
        return self.assumed.restricted(self.assumed.families, claims)

    @functools.cached_property
    def assumed(self) -> Theorem:
        """The same with every assumption: what a search or a frontier takes, which drop some themselves."""
        return self.whole.restricted({self.base.name: self.family}, self.claims.kept)

    def check(self, **options: Any) -> Any:
        """Put the claims to networks drawn on these data; see `ntkverify.data.check.check_at`."""
        from ntkverify.data.check import check_at

        return check_at(self, **options)

    @property
    def rate_words(self) -> str:
        """The rate as sentences write it."""
        return "" if self.whole.roles.rate is None else words(self.whole.roles.rate)


def theorem_at(theorem: Theorem, data: Any, **options: Any) -> TheoremAt:
    """A theorem at given data; see `TheoremAt` for the options."""
    return TheoremAt(theorem, data, **options)


def _named(name: str, known: Collection[str], what: str, theorem: Theorem) -> str:
    return chosen(name, known, what=what, of=f"theorem {theorem.title!r}")


def _with_unit_inputs(data: Data, shapes: Mapping[str, Sequence[str]]) -> Data:
    if "inputs" not in shapes:
        raise NtkVerifyError("unit inputs are for theorems whose data have a block 'inputs'; leave --unit out.")
    return replace(data, blocks={**data.blocks, "inputs": unit_rows(data.blocks["inputs"])})
