"""The spectrum of a limit Gram matrix at given data: certified in balls where that can be had, else with its error."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ntkverify.arithmetic.ball_numbers import raw, raw_array
from ntkverify.arrays import Array
from ntkverify.data.files import Data
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.memory import free_memory
from ntkverify.symbolic.limit.angles import AngleBounds
from ntkverify.symbolic.limit.coincident import (
    NEARLY,
    PARALLEL,
    Alike,
    alike_rows,
    equal_rows,
    in_words,
    named,
    rows_of,
)
from ntkverify.symbolic.limit.enclosures import Enclosure, least_eigenvalue

#: working precision of what is certified
BITS = 256
#: about how many digits both ends share
DIGITS = 9
#: samples up to which lambda_0 is certified unless it is asked for: the work grows with their cube
CERTIFIED_SAMPLES = 48
#: arrays of n^2 numbers that H^inf and its spectrum take at once: 13 while its entries are formed, itself, LAPACK's
MATRICES = 15


@dataclass(frozen=True)
class LimitSpectrum:
    """Eigenvalues of H^inf, and how far they may be trusted.

    Parameters
    ----------
    eigenvalues : array (n,)
        Ascending, in float64.
    error : float
        How far each may be off: the backward error of the eigensolver, the rounding of the entries, and the estimated
        error of their quadrature.
    enclosure : Enclosure or None
        Ends between which the least one is proved to lie.
    why : str
        Why it was not certified; empty if it was.
    """

    eigenvalues: Array
    error: float
    enclosure: Enclosure | None = None
    why: str = ""

    @property
    def least(self) -> float:
        """lambda_0: the certified lower end, rounded down, or the float64 value."""
        if self.enclosure is None:
            return float(self.eigenvalues[0])
        found = float(self.enclosure.lower)
        return found if self.enclosure.lower >= found else float(np.nextafter(found, -np.inf))

    @property
    def norm(self) -> float:
        """||H^inf||."""
        return float(self.eigenvalues[-1])

    @property
    def condition(self) -> float:
        """||H^inf||/lambda_0; infinite where float64 can't tell lambda_0 from zero."""
        return self.norm / self.least if self.least > 0 else float("inf")

    @property
    def is_singular(self) -> bool:
        """Whether nothing here tells lambda_0 from zero."""
        if self.enclosure is not None and self.enclosure.is_positive:
            return False
        return bool(self.eigenvalues[0] <= self.error)

    @property
    def words(self) -> str:
        """How lambda_0 is known."""
        if self.enclosure is not None:
            return enclosed_in_words(self.enclosure)
        return f"float64, estimated error {self.error:.1e}; not certified: {self.why}"


@dataclass(frozen=True)
class LimitBounds:
    """What is known of a limit Gram matrix that is too large for this machine: the ends stand for the eigenvalues.

    Parameters
    ----------
    bounds : AngleBounds
        From the angles between samples.
    why : str
        How much the matrix takes.
    """

    bounds: AngleBounds
    why: str

    @property
    def least(self) -> float:
        """A lower bound of lambda_0, above 0."""
        return self.bounds.lower

    @property
    def norm(self) -> float:
        """An upper bound of ||H^inf||."""
        return self.bounds.norm

    @property
    def words(self) -> str:
        """How lambda_0 is known."""
        return f"at least; at most {self.bounds.upper:.6g}, from the angles between samples: {self.why}"


def is_beyond_memory(run: Any) -> bool:
    """Whether the limit Gram matrix of a run, where it has one, does not fit in memory with its spectrum."""
    return hasattr(type(run), "limit_gram_error") and _needed(run) > free_memory()


def _needed(run: Any) -> int:
    return 8 * MATRICES * int(run.samples.total) ** 2


def limit_bounds(run: Any) -> LimitBounds:
    """Bounds on a spectrum that is beyond memory.

    Raises
    ------
    NtkVerifyError
        If angles do not tell lambda_0 from zero, or are no help with this network.
    """
    what, needed, free = f"an eigenvalue of {run.samples.total:,} samples", _needed(run), free_memory()
    bounds: AngleBounds | None = getattr(run, "angle_bounds", None)
    if bounds is None:
        raise NtkVerifyError(
            f"{what} needs {needed / 2**30:.3g} GiB but {free / 2**30:.3g} GiB are free, and angles between samples "
            "bound it for ReLU regression alone; give fewer samples."
        )
    if bounds.lower <= 0:
        raise NtkVerifyError(
            f"{what} needs {needed / 2**30:.3g} GiB but {free / 2**30:.3g} GiB are free, and from the angles between "
            "them lambda_0 is not known to be positive; give fewer samples, or such that lie further apart."
        )
    return LimitBounds(bounds, f"{what} takes {needed / 2**30:.3g} GiB where {free / 2**30:.3g} are free")


def enclosed_in_words(enclosure: Enclosure) -> str:
    """Both ends with ten digits, rounded outwards."""
    low, high = (float(end) for end in (enclosure.lower, enclosure.upper))
    return f"certified in [{low - 6e-10 * abs(low):.10g}, {high + 6e-10 * abs(high):.10g}]"


def enclosed_rate(run: Any, rate: sympy.Expr, *, certify: bool | None = None) -> str:
    """How the value of a rate is known: an enclosure of the expression itself, for kernels that are sums of others."""
    why = _obstacle(1, certify)
    if why:
        return f"float64; not certified: {why}"
    from flint import ctx

    with ctx.workprec(BITS):
        ball = raw(run.on("ball").evaluate(rate))
        return enclosed_in_words(Enclosure(ball.lower(), ball.upper()))


def limit_spectrum(run: Any, *, certify: bool | None = None) -> LimitSpectrum:
    """The spectrum of a run's limit Gram matrix.

    Parameters
    ----------
    run : Run
        Answers for ``limit_gram`` and ``limit_gram_error``, and in balls for the former.
    certify : bool, optional
        Whether to enclose the least eigenvalue; up to `CERTIFIED_SAMPLES` samples by default.
    """
    gram = np.asarray(run.limit_gram, np.float64)
    eigenvalues: Array = np.asarray(np.linalg.eigvalsh(gram), np.float64)
    ulp = float(np.finfo(np.float64).eps)
    # n eps ||H|| of the eigensolver, some ulps of sqrt(H_ii H_jj) an entry, and the quadrature
    rounding = len(gram) * ulp * float(eigenvalues[-1]) + 16 * ulp * float(np.trace(gram))
    error = rounding + float(np.linalg.norm(run.limit_gram_error))
    why = _obstacle(len(gram), certify)
    if not why:
        try:
            return LimitSpectrum(eigenvalues, error, _enclosed(run))
        except NtkVerifyError as refusal:
            why = str(refusal).rstrip(".")
    return LimitSpectrum(eigenvalues, error, None, why)


def _obstacle(size: int, certify: bool | None) -> str:
    if certify is False:
        return "not asked for"
    if importlib.util.find_spec("flint") is None:
        return "python-flint is missing, pip install 'ntkverify[certify]'"
    if certify is None and size > CERTIFIED_SAMPLES:
        return f"more than {CERTIFIED_SAMPLES} samples, ask for it with certify=True"
    return ""


def _enclosed(run: Any) -> Enclosure:
    from flint import arb_mat, ctx

    with ctx.workprec(BITS):
        matrix = arb_mat([list(row) for row in raw_array(run.on("ball").limit_gram)])
        return least_eigenvalue(matrix, bits=BITS, digits=DIGITS)


def refuse_repeated(data: Data, points: Sequence[str]) -> None:
    """Refuse equal rows of a block, which is all that can be told without the matrix.

    Raises
    ------
    NtkVerifyError
        Naming all pairs, up to ten, and a count of the others.
    """
    if repeated := _repeated(data, points):
        raise NtkVerifyError(f"{in_words(repeated, data.place_within)}.")


def _repeated(data: Data, points: Sequence[str]) -> list[Alike]:
    return [Alike((name, i), (name, j)) for name in points for i, j in equal_rows(np.asarray(data.blocks[name]))]


def refuse_singular(data: Data, points: Sequence[str], run: Any) -> None:
    """Refuse samples that no limit Gram matrix can tell apart, before anything is computed with them.

    Parameters
    ----------
    data : Data
        With the places of its rows.
    points : sequence of str
        Blocks of samples, in the order of the matrix.
    run : Run
        Of these data.

    Raises
    ------
    NtkVerifyError
        Naming all pairs, up to ten, and a count of the others.
    """
    repeated = _repeated(data, points)
    gram = np.asarray(run.limit_gram, np.float64)
    eigenvalues = np.linalg.eigvalsh(gram)
    size = np.sqrt(np.diag(gram))
    singular = eigenvalues[0] <= len(gram) * np.finfo(np.float64).eps * eigenvalues[-1] or not size.all()
    places = rows_of({name: len(data.blocks[name]) for name in points})
    if not singular or len(places) != len(gram):
        if repeated:
            raise NtkVerifyError(f"{in_words(repeated, data.place_within)}.")
        return
    if not size.all():
        raise NtkVerifyError(f"{data.place(*places[int(size.argmin())])} is the zero vector; remove it.")
    same = {(pair.first, pair.second) for pair in repeated}
    directions = list(points) == ["inputs"]  # all that ReLU without a bias knows of an input
    verb = PARALLEL if directions else NEARLY
    near = [p for p in named(alike_rows(gram), places, verb) if (p.first, p.second) not in same]
    if not repeated and not near:
        raise NtkVerifyError(
            f"{data.source}: the limit Gram matrix of these {len(gram)} samples is singular to rounding "
            f"(lambda_0 = {eigenvalues[0]:.1e}, ||H^inf|| = {eigenvalues[-1]:.2g}); give fewer samples, or such that "
            "lie further apart."
        )
    remedy = ", or append a 1 to all with --unit (unit=True)" if near and directions else ""
    why = ", since the limit Gram matrix is singular with both" if near else ""
    raise NtkVerifyError(f"{in_words(repeated + near, data.place_within)}{why}{remedy}.")
