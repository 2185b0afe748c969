"""The processes that share a network: who they are, and sums over them whose bits are fixed."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.placement import allowed_processors

#: numbers up to which everybody is sent everybody's: one message; beyond, everybody adds a part of them for all
FEW = 1 << 12


def require_mpi() -> Any:
    """mpi4py's ``MPI`` over an MPI library.

    Raises
    ------
    NtkVerifyError
        If either is not installed, with what to install.
    """
    try:
        from mpi4py import MPI
    except ImportError:
        raise NtkVerifyError(
            "one network over several processes needs mpi4py, which is not installed: pip install 'ntkverify[mpi]'."
        ) from None
    except RuntimeError as error:  # mpi4py's wheels look for a library when they are imported
        raise NtkVerifyError(
            f"mpi4py finds no MPI library ({str(error).splitlines()[0]}): install your system's, or pip install mpich."
        ) from None
    return MPI


class Ranks:
    """The processes of a communicator.

    Sums are formed in the order of the ranks, entry by entry, so that they have the same bits whenever as many
    processes are asked, and the same on each of them; MPI's own reductions add in whatever order is fastest.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm, optional
        ``MPI.COMM_WORLD`` by default.
    """

    def __init__(self, communicator: Any = None) -> None:
        self.communicator = require_mpi().COMM_WORLD if communicator is None else communicator
        self.rank: int = self.communicator.Get_rank()
        self.size: int = self.communicator.Get_size()

    def added(self, array: Array) -> Array:
        """The sum of what all processes give, of the same shape.

        A process receives as many numbers as there are processes times entries where these are few, and twice as many
        as there are entries else.
        """
        given = np.asarray(array, dtype=np.float64)
        if self.size == 1:
            return given
        flat = given.reshape(-1)
        if flat.size <= FEW:
            return _in_order(self._everybodys(flat)).reshape(given.shape)
        each = -(-flat.size // self.size)
        padded = np.zeros((self.size, each))
        padded.reshape(-1)[: flat.size] = flat
        received = np.empty_like(padded)
        self.communicator.Alltoall(padded, received)
        total = self._everybodys(_in_order(received))
        return total.reshape(-1)[: flat.size].reshape(given.shape)

    def largest(self, array: Array) -> Array:
        """The largest of what all processes give, entry by entry; no number where one of them is none."""
        given = np.ascontiguousarray(array, dtype=np.float64)
        return given if self.size == 1 else np.asarray(np.maximum.reduce(self._everybodys(given), axis=0))

    def gathered(self, value: Any) -> list[Any]:
        """A small object of every process, in the order of the ranks."""
        return list(self.communicator.allgather(value))

    def agree(self, value: Any, what: str) -> None:
        """Refuse to go on unless all processes give an equal value.

        Raises
        ------
        NtkVerifyError
            On all of them.
        """
        found = self.gathered(value)
        if any(other != found[0] for other in found):
            rank = next(i for i, other in enumerate(found) if other != found[0])
            raise NtkVerifyError(
                f"process {rank} of {self.size} has another {what} than process 0; start all of them by one command."
            )

    def threads(self) -> int:
        """Processors for each of the processes on this machine, which a launcher may have given them apart or not."""
        mine = platform.node(), tuple(allowed_processors() or range(os.cpu_count() or 1))
        here = [processors for machine, processors in self.gathered(mine) if machine == mine[0]]
        return max(1, min(len(mine[1]), len(set().union(*here)) // len(here)))

    def _everybodys(self, given: Array) -> Array:
        received = np.empty((self.size, *given.shape))
        self.communicator.Allgather(np.ascontiguousarray(given), received)
        return received


def _in_order(parts: Array) -> Array:
    """The sum over the first axis; NumPy's own may go pairwise."""
    total: Array = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


@contextmanager
def together(communicator: Any = None) -> Iterator[None]:
    """What fails in here on one process ends all of them: the others would wait for it forever.

    An `NtkVerifyError` becomes one sentence on the error stream, with the process that raised it; other errors keep
    their traceback.
    """
    world = require_mpi().COMM_WORLD if communicator is None else communicator
    try:
        yield
    except NtkVerifyError as error:
        print(f"ntkverify: process {world.Get_rank()} of {world.Get_size()}: {error}", file=sys.stderr, flush=True)
        world.Abort(2)
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        world.Abort(3)
