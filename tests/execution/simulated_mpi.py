"""A communicator whose processes are threads: what `Ranks` asks of mpi4py, with real barriers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np

from ntkverify.measures.snapshot import Snapshot

# until Python 3.12 a cached property has one lock for all instances, which a rank would hold while others wait for it
for cached in ("jacobian", "group_grams", "gram"):
    vars(Snapshot)[cached].lock = nullcontext()


class Hub:
    def __init__(self, size):
        self.size, self.barrier, self.given = size, threading.Barrier(size, timeout=60), [None] * size


class Communicator:
    def __init__(self, hub, rank):
        self._hub, self._rank = hub, rank

    def Get_rank(self):
        return self._rank

    def Get_size(self):
        return self._hub.size

    def allgather(self, value):
        self._hub.given[self._rank] = value
        self._hub.barrier.wait()
        found = list(self._hub.given)
        self._hub.barrier.wait()
        return found

    def Allgather(self, given, received):
        received[...] = np.reshape(self.allgather(np.array(given)), received.shape)

    def Alltoall(self, given, received):
        received[...] = [other[self._rank] for other in self.allgather(np.array(given))]


def on_ranks(size, work):
    """What ``work(communicator)`` returns on each of so many ranks; the first error of one ends all."""
    hub = Hub(size)

    def guarded(rank):
        try:
            return work(Communicator(hub, rank))
        except BaseException:
            hub.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(guarded, rank) for rank in range(size)]
    errors = [f.exception() for f in futures if f.exception()]
    first = [e for e in errors if not isinstance(e, threading.BrokenBarrierError)]
    if errors:
        raise (first or errors)[0]
    return [f.result() for f in futures]
