"""An instance: everything needed to reproduce one draw, as plain JSON both ways."""

from __future__ import annotations

import copy
import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ntkverify.arrays import Array, real_number, whole_number
from ntkverify.errors import NtkVerifyError
from ntkverify.seeds import AS_DRAWN, MovedSeed

FORMAT = 4  #: version of the JSON layout; a reader refuses newer ones
#: keys that an earlier format lacks, and the format that brought them; written only where they say something
_SINCE = {"turns": 2, "scale": 3, "evenness": 4}

#: what a file calls the family, as it did when that had two names; files of all versions are read
_FAMILY_KEY = "regime"
_FLOATS = ("step", "scale", "evenness")

_KINDS: dict[str, type | tuple[type, ...]] = {
    "theorem": str,
    _FAMILY_KEY: str,
    "data": dict,
    "parameters": dict,
    "width": int,
    "step": (int, float),
    "steps": int,
    "seed": int,
}


@dataclass(frozen=True)
class Instance:
    """One draw of a theorem's data together with the seed of its weights.

    Parameters
    ----------
    theorem, family : str
        Which theorem, and which of its families of instances, this belongs to.
    data : dict of str to nested lists of float
        Inputs, targets and whatever else the problem needs, by name.
    parameters : dict of str to float
        The theorem's scalar parameters (delta, C, ...).
    width : int
        Number of neurons; 0 for instances without a network.
    step : float
        Learning rate.
    steps : int
        Number of steps to train.
    seed : int
        Entropy of the weights' draw.
    turns : sequence of (float, int)
        Angles by which the inner weights are turned towards draws of other seeds, see `MovedSeed`.
    scale : float
        Factor on the inner weights.
    evenness : float
        How far each neuron's inner weights are brought to one and the same length, from 0 to 1.
    """

    theorem: str = ""
    family: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    width: int = 0
    step: float = 0.0
    steps: int = 0
    seed: int = 0
    turns: Sequence[tuple[float, int]] = ()
    scale: float = 1.0
    evenness: float = 0.0

    def __post_init__(self) -> None:
        where = f"instance of {self.theorem or 'a theorem'}"
        for name in ("data", "parameters"):
            if not isinstance(getattr(self, name), Mapping):
                raise NtkVerifyError(f"{where}: {name} go by name, as a mapping, not {getattr(self, name)!r}.")
        numbers = {name: _plain(f"{where}: parameter {name!r}", value) for name, value in self.parameters.items()}
        object.__setattr__(self, "parameters", numbers)
        for name in _FLOATS:
            object.__setattr__(self, name, real_number(f"{where}: {name}", getattr(self, name)))
        for name in ("width", "steps", "seed"):
            object.__setattr__(self, name, whole_number(f"{where}: {name}", getattr(self, name), least=0))
        arrays = {name: _as_array(value, f"{where}: data {name!r}") for name, value in self.data.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                raise NtkVerifyError(
                    f"{where}: data {name!r} has the non-finite value {array[place]} at index {place}; remove it."
                )
        # plain numbers, whatever they came in, that nobody else can change
        object.__setattr__(self, "data", {name: array.tolist() for name, array in arrays.items()})
        if not self.scale > 0:
            raise NtkVerifyError(f"{where}: scale must be positive, it is {self.scale}.")
        if not 0 <= self.evenness <= 1:
            raise NtkVerifyError(f"{where}: evenness must lie between 0 and 1, it is {self.evenness}.")
        delta = self.parameters.get("delta")
        if delta is not None and not 0 < delta < 1:
            raise NtkVerifyError(f"{where}: delta must lie strictly between 0 and 1, not {delta}.")
        object.__setattr__(self, "turns", _as_turns(self.turns, self.seed, where))

    def array(self, name: str) -> Array:
        """The data called `name` as a float64 array."""
        if name not in self.data:
            raise NtkVerifyError(f"instance of {self.theorem}: data {name!r} is missing; add it under 'data'.")
        return _as_array(self.data[name], f"instance of {self.theorem}: data {name!r}")

    @property
    def weight_seed(self) -> int | MovedSeed:
        """What the weights are drawn from."""
        moved = MovedSeed(self.seed, tuple(self.turns), self.scale, self.evenness)
        return self.seed if moved == MovedSeed(self.seed) else moved

    @property
    def content(self) -> str:
        """Everything but the seeds, as text: what two draws of the same data have in common."""
        return repr((self._data_text, self.parameters, self.width, self.step, self.steps))

    @functools.cached_property
    def _data_text(self) -> str:
        """The data in JSON: many numbers, which are written once for all draws and records of them."""
        return json.dumps(self.data, allow_nan=False)

    def with_seed(self, seed: int) -> Instance:
        """The same data and settings with another draw of the weights, as it comes."""
        return self._but(
            seed=whole_number(f"instance of {self.theorem or 'a theorem'}: seed", seed, least=0), **AS_DRAWN
        )

    def belonging_to(self, theorem: str, family: str) -> Instance:
        """The same draw as one of another family."""
        return self._but(theorem=theorem, family=family)

    def _but(self, **others: Any) -> Instance:
        """A copy with other values of what needs no second look at the data."""
        self._data_text  # noqa: B018 - so that all copies have it
        found = copy.copy(self)
        for name, value in others.items():
            object.__setattr__(found, name, value)
        return found

    def to_json(self) -> str:
        """One line of JSON; floats are written so that they read back bit for bit."""
        names = (each.name for each in fields(self))  # `asdict` would copy the data, number by number
        content = {_FAMILY_KEY if name == "family" else name: getattr(self, name) for name in names}
        for key, plain in AS_DRAWN.items():
            if content[key] == plain:
                del content[key]
        version = max([1, *(since for key, since in _SINCE.items() if key in content)])
        pairs = {"format": version, **content}.items()
        texts = (self._data_text if key == "data" else json.dumps(value, allow_nan=False) for key, value in pairs)
        return f"{{{', '.join(f'{json.dumps(key)}: {text}' for (key, _), text in zip(pairs, texts, strict=True))}}}"

    @classmethod
    def from_json(cls, text: str, *, where: str = "instance") -> Instance:
        """Read an instance back.

        Raises
        ------
        NtkVerifyError
            If the text is not JSON, lacks a key, has one of the wrong type or comes from a newer version.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise NtkVerifyError(f"{where} is not JSON ({error}); write it again with Instance.to_json.") from None
        if not isinstance(content, dict):
            raise NtkVerifyError(
                f"{where} holds a JSON {type(content).__name__}, not an object with the keys {list(_KINDS)}."
            )
        version = content.pop("format", None)
        if not isinstance(version, int) or isinstance(version, bool):
            raise NtkVerifyError(f"{where} lacks the integer key 'format'; write it again with Instance.to_json.")
        if version > FORMAT:
            raise NtkVerifyError(f"{where} has format {version}, this version reads up to {FORMAT}: upgrade ntkverify.")
        for key, since in _SINCE.items():
            if version < since and key in content:
                raise NtkVerifyError(
                    f"{where} has {key!r}, which format {version} does not know; write it with format {since}."
                )
        for key in ("scale", "evenness"):
            if not _is_number(content.get(key, AS_DRAWN[key])):
                raise NtkVerifyError(f"{where}: key {key!r} is not a finite number.")
        for key, kind in _KINDS.items():
            if key not in content:
                raise NtkVerifyError(f"{where} lacks the key {key!r}; add it.")
            if not isinstance(content[key], kind) or isinstance(content[key], bool):
                raise NtkVerifyError(f"{where}: key {key!r} has the wrong type {type(content[key]).__name__}.")
        unknown = sorted(set(content) - set(_KINDS) - set(_SINCE))
        if unknown:
            raise NtkVerifyError(f"{where} has the unknown key {unknown[0]!r}; remove it.")
        for name, value in content["parameters"].items():
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise NtkVerifyError(f"{where}: {name!r} under 'parameters' is not a number.")
        return cls(family=content.pop(_FAMILY_KEY), **content)

    @classmethod
    def load(cls, path: str | Path) -> Instance:
        """Read an instance from a file; errors name the file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NtkVerifyError(f"instance file {path} can't be read: {error}.") from None
        return cls.from_json(text, where=f"instance file {path}")


def _plain(name: str, value: Any) -> float:
    return value if type(value) is int and abs(value) < 2**53 else real_number(name, value)


def _as_turns(turns: Any, seed: int, where: str) -> tuple[tuple[float, int], ...]:
    """Pairs of an angle and a seed, none of them drawn from twice: the sum would not be standard normal."""
    listed = isinstance(turns, list | tuple) and all(
        isinstance(turn, list | tuple) and len(turn) == 2 for turn in turns
    )
    if not listed or not all(_is_number(angle) and _is_seed(other) for angle, other in turns):
        raise NtkVerifyError(f"{where}: turns must be pairs of a finite angle and a seed that is not negative.")
    if len({seed, *(other for _, other in turns)}) <= len(turns):
        raise NtkVerifyError(f"{where}: turns must go to different seeds, none of them the instance's own.")
    return tuple((float(angle), int(other)) for angle, other in turns)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _is_seed(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 0


def _as_array(value: Any, where: str) -> Array:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise NtkVerifyError(f"{where} is not a rectangular array of numbers.") from None
