"""Data of the user's own, as options that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.data.at import TheoremAt
    from ntkverify.theorem.theorem import Theorem

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Given:
    """What was said of one's own data.

    Parameters
    ----------
    data, targets : str or mapping of block to path, str or None
        Points and targets.
    options : dict
        The rest, as `ntkverify.data.at.TheoremAt` takes it.
    """

    data: Any
    targets: str | None
    options: dict[str, Any]

    def at(self, theorem: Theorem, **more: Any) -> TheoremAt:
        """A theorem at these data."""
        from ntkverify.data.at import theorem_at

        given = {name: value for name, value in more.items() if value is not None}
        return theorem_at(theorem, self.data, targets=self.targets, **{**self.options, **given})


def only(paths: Sequence[Path]) -> Theorem:
    """The one theorem that was named; refused where there are several, since data are of one."""
    from ntkverify.theorem.loading import load_theorem

    if len(paths) != 1:
        raise NtkVerifyError(f"--data is for one theorem, but {len(paths)} were named; name the one you mean.")
    return load_theorem(paths[0])


def data_options(*, steps: bool = True) -> Callable[[Function], Function]:
    """``--data`` and what goes with it; the command gets a `Given`, or None without ``--data``, as ``given``."""
    options = [*_OPTIONS, *([_STEPS] if steps else [])]
    names = [*_NAMES, *(["steps"] if steps else [])]

    def decorated(function: Function) -> Function:
        @functools.wraps(function)
        def taken(*arguments: Any, **said: Any) -> Any:
            return function(*arguments, given=_given({name: said.pop(name) for name in names}), **said)

        command: Any = taken
        for option in reversed(options):
            command = option(command)
        found: Function = command
        return found

    return decorated


_NAMES = ("data", "targets", "unit", "parameters", "split", "width", "step")
_OPTIONS = [
    click.option(
        "--data", metavar="FILE",
        help="Your points in place of the theorem's own instances: a CSV or NPZ file, or BLOCK=FILE,BLOCK=FILE.",
    ),
    click.option("--targets", metavar="NAME", help="With --data: column, array or file that holds the targets."),
    click.option("--unit", is_flag=True, help="With --data: take x as (x, 1)/||(x, 1)||, of length 1."),
    click.option(
        "--set", "parameters", multiple=True, metavar="NAME=VALUE",
        help="With --data: a parameter of the theorem, delta=0.05; repeatable.",
    ),
    click.option("--split", metavar="NAME", help="With --data: how the proof's slack is split."),
    click.option("--width", type=click.IntRange(min=1), help="With --data: neurons.  [default: as prescribed]"),
    click.option("--step", type=float, help="With --data: the step.  [default: the largest]"),
]  # fmt: skip
_STEPS = click.option("--steps", type=click.IntRange(min=1), help="With --data: training steps.  [default: up to 100]")


def _given(said: dict[str, Any]) -> Given | None:
    if said["data"] is None:
        for name, value in said.items():
            if value not in (None, False, ()):
                option = "set" if name == "parameters" else name
                raise NtkVerifyError(f"--{option} goes with --data; name your points with --data FILE.")
        return None
    parameters = dict(_parameter(text) for text in said["parameters"])
    options = {name: said[name] for name in ("unit", "split", "width", "step", "steps") if said.get(name) is not None}
    files = _files(said["data"])
    for path in files.values() if isinstance(files, dict) else [files]:
        if not Path(path).is_file():  # before a theorem is loaded for it
            raise NtkVerifyError(f"--data {path}: there is no such file; name a CSV or NPZ file.")
    return Given(files, said["targets"], {**options, **parameters})


def _files(text: str) -> Any:
    """``FILE``, or ``BLOCK=FILE,BLOCK=FILE``."""
    if "=" not in text or Path(text).exists():
        return text
    found = {}
    for part in text.split(","):
        block, equals, path = part.partition("=")
        if not equals or not block.strip() or not path.strip():
            raise NtkVerifyError(f"--data {text!r}: {part!r} is not BLOCK=FILE; write interior=a.csv,boundary=b.csv.")
        found[block.strip()] = Path(path.strip())
    return found


def _parameter(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise NtkVerifyError(f"--set {text!r} is not NAME=VALUE with a number; write --set delta=0.05.") from None
