"""Claims of linear algebra: an instance that carries its matrices and vectors, nothing to train."""

from __future__ import annotations

from ntkverify.problems.run import Run


class AlgebraRun(Run):
    """Every array of the instance's data and every parameter is an attribute of the run."""
