"""Checkpoints: where a long training stands, kept so that the same command goes on from there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.execution import Executor

_COMPLETE = "complete.json"
_EDGE = 64  # neurons at either end of a process' share that tell draws apart


class Checkpoint:
    """A folder with the latest state of a training; of each process that shares the network a file.

    What is written last, by the first process, makes a checkpoint complete; a training that is ended at any moment
    goes on from the latest that is, with as many processes. Files are read with `pickle`, so use folders of your own
    only.

    Parameters
    ----------
    folder : str or Path
        Where the files lie; on several machines a shared folder, or one of each machine's own.
    every : int
        A checkpoint is written after every so many steps.
    """

    def __init__(self, folder: str | Path, *, every: int) -> None:
        if every < 1:
            raise NtkVerifyError(f"a checkpoint is written every so many steps, at least 1, not {every}.")
        self.folder, self.every = Path(folder), every
        self._key = ""

    def begin(self, executor: Executor, weights: Any, settings: Sequence[Any]) -> dict[str, Any] | None:
        """What the latest complete checkpoint holds, the same moment on every process; None where there is none.

        Parameters
        ----------
        executor : Executor
            The problem.
        weights : array, shape (m, p)
            The initial weights, or this process' share of them.
        settings : sequence
            What else tells this training from others: its method, step, measures.

        Raises
        ------
        NtkVerifyError
            On every process, if one of them can't write or lacks its file, or the folder is another training's.
        """
        self._key = self._key_of(executor, weights, settings)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            step, trouble = (self._latest() if executor.rank == 0 else None), ""
        except OSError as error:
            step, trouble = None, f"the folder {self.folder} can't be used ({error.strerror}); choose another."
        _raise_for_all(executor, trouble)
        step = executor.gathered(step)[0]
        if step is None:
            return None
        state: dict[str, Any] = {}
        try:
            state = self._read(executor, step)
        except NtkVerifyError as error:
            trouble = str(error)
        _raise_for_all(executor, trouble)
        return state

    def write(self, executor: Executor, step: int, state: dict[str, Any]) -> None:
        """Keep a state if it is due, and drop what was kept before once all processes have theirs on disk."""
        if step == 0 or step % self.every:
            return
        trouble = ""
        try:
            folder = self._at(step)
            folder.mkdir(parents=True, exist_ok=True)
            path = self._file(executor, step)
            with open(path.with_suffix(".part"), "wb") as stream:
                _Pickler(stream, protocol=5).dump({"key": self._key, **state})
                stream.flush()
                os.fsync(stream.fileno())
            path.with_suffix(".part").replace(path)
        except OSError as error:
            trouble = f"the checkpoint {self._at(step)} can't be written ({error.strerror}); free space."
        _raise_for_all(executor, trouble)
        if executor.rank == 0:
            content = {"step": step, "processes": executor.ranks, "key": self._key}
            part = folder / f"{_COMPLETE}.part"
            part.write_text(json.dumps(content) + "\n", encoding="utf-8")
            part.replace(folder / _COMPLETE)
        executor.gathered(None)  # nobody removes a file before the new checkpoint is complete
        self._drop(executor, step)

    def _key_of(self, executor: Executor, weights: Any, settings: Sequence[Any]) -> str:
        samples = [(b.scale, executor.to_host(b.points), executor.to_host(b.targets)) for b in executor.samples.blocks]
        ends = [executor.to_host(weights[part, :]) for part in (slice(_EDGE), slice(-_EDGE, None))]
        digest = hashlib.sha256()
        for array in [a for scale, *rest in samples for a in (np.array(float(scale)), *rest)] + ends:
            digest.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
        blocks = [(b.block.features, b.block.residual) for b in executor.samples.blocks]
        digest.update(repr((blocks, executor.width_of(weights), executor.ranks, list(settings))).encode())
        return hashlib.sha256("".join(executor.gathered(digest.hexdigest())).encode()).hexdigest()

    def _latest(self) -> int | None:
        """The step of the latest complete checkpoint."""
        steps = [
            int(path.parent.name.removeprefix("step-"))
            for path in self.folder.glob(f"step-*/{_COMPLETE}")
            if re.fullmatch(r"step-\d+", path.parent.name)
        ]
        return max(steps, default=None)

    def _read(self, executor: Executor, step: int) -> dict[str, Any]:
        path = self._file(executor, step)
        try:
            with open(path, "rb") as stream:
                state: dict[str, Any] = _Unpickler(stream).load()
        except OSError as error:
            raise NtkVerifyError(
                f"the checkpoint of step {step} in {self.folder} lacks {path.name} ({error.strerror}); go on with as "
                "many processes as before, each on its machine, or choose another folder."
            ) from None
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
            raise NtkVerifyError(f"{path} is damaged ({error!r}); remove the folder {self._at(step)}.") from None
        if state.pop("key", None) != self._key:
            raise NtkVerifyError(
                f"the folder {self.folder} holds a checkpoint of another training; choose another, or remove it."
            )
        return state

    def _drop(self, executor: Executor, kept: int) -> None:
        """Remove older checkpoints: their mark first, so that none looks complete and is not."""
        older = [path for path in self.folder.glob("step-*") if path != self._at(kept)]
        if executor.rank == 0:
            for path in older:
                (path / _COMPLETE).unlink(missing_ok=True)
        executor.gathered(None)
        for path in older:
            for file in path.glob(f"process-{executor.rank:06d}-*"):
                file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another process' file is still there, who will do it
                path.rmdir()

    def _at(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}"

    def _file(self, executor: Executor, step: int) -> Path:
        return self._at(step) / f"process-{executor.rank:06d}-of-{executor.ranks}.pickle"


def _raise_for_all(executor: Executor, trouble: str) -> None:
    """One process' trouble is raised on all of them, or those without would wait for it."""
    first = next((sentence for sentence in executor.gathered(trouble) if sentence), "")
    if first:
        raise NtkVerifyError(first)


class _Pickler(pickle.Pickler):
    """Executors are left out: whoever holds one makes it anew."""

    def persistent_id(self, value: Any) -> Any:
        return "executor" if isinstance(value, Executor) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: Any) -> Any:
        return None
