"""One network over many processes: each holds some of its neurons, and only sums over them travel."""

from ntkverify.execution.sharded.executor import ShardedExecutor, make_sharded
from ntkverify.execution.sharded.ranks import Ranks, together

__all__ = ["Ranks", "ShardedExecutor", "make_sharded", "together"]
