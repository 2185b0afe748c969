r"""Stationary kernels on a periodic grid: every eigenvalue by finite differences is smaller. AF3, claims A3 and A4.

Setting     K(x, x') = sum_om c(om) e^{i om (x - x')}, c >= 0, N points of spacing h = 2 pi/N on a circle; the kernel of
            the residuals by derivatives has coefficients om^(4p) c(om), by differences |(2/h) sin(om h/2)|^(4p) c(om)
Guarantee   at the grid's frequency xi, with aliases om_n = xi + n N and s = |(2/h) sin(xi h/2)|:
            lambda_FD(xi) = N s^(4p) sum c(om_n) <= lambda_AD(xi) = N sum om_n^(4p) c(om_n), 0 at xi = 0;
            the ratio falls with the order p, and is at least (2/pi)^(4p) where nothing is aliased (sharp, at pi/h)

Derived. All aliases of a frequency share s, and s <= |om_n|: the ratio is 1/E (om_n/s)^(4p) under the weights
c(om_n), and om_n/s >= 1. This is the provable form of "finite differences have more small singular values, the more
so the higher the order" (arXiv 2405.14099, in a digest); as a number of values below a level it is false on grids
inside an interval, which `sine_features` shows.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, Source, Theorem, always, identity
from ntkverify.instances import generator
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.network.stencils import central_stencil

theorem = Theorem(
    "Finite differences lower every eigenvalue of a stationary kernel",
    source=Source(arxiv="2405.14099", version=4, where="spectrum of the kernel", provenance="derived"),
    statement=r"""
        $\lambda_{FD}(\xi) = N |\tfrac{2}{h}\sin\tfrac{\xi h}{2}|^{4p} \sum_n c(\omega_n) \le
        \lambda_{AD}(\xi) = N \sum_n \omega_n^{4p} c(\omega_n)$, $\omega_n = \xi + nN$, for all $\xi$.
    """,
)

p = sympy.Symbol("p", positive=True)
nyquist = theorem.constant("nyquist", (2 / sympy.pi) ** (4 * p), "ratio at the frequency pi/h")
ULP = np.finfo(float).eps


class PeriodicRun(AlgebraRun):
    """Coefficients c(om) for om = -J ... J on a grid of N points of the circle."""

    @property
    def frequencies(self):
        """om, (2 J + 1,)."""
        reach = len(self.coefficients) // 2
        return self.numbers(np.arange(-reach, reach + 1))

    @property
    def size(self):
        """Number of points."""
        return int(self.instance.parameters["size"])

    @property
    def h(self):
        """Spacing."""
        return 2 * np.pi / self.size

    def folded(self, values):
        """N times the sum of `values` over the aliases of each of the grid's frequencies 0 ... N - 1."""
        places = np.arange(len(values)) - len(values) // 2
        return self.size * np.array([values[places % self.size == xi].sum() for xi in range(self.size)])

    def by_derivatives(self, order):
        """lambda_AD at the frequencies 0 ... N - 1."""
        return self.folded(self.frequencies ** (4 * order) * self.coefficients)

    def by_differences(self, order):
        """lambda_FD at the frequencies 0 ... N - 1, by the formula."""
        s = 2 / self.h * np.sin(np.arange(self.size) * self.h / 2)
        return s ** (4 * order) * self.folded(self.coefficients)

    @property
    def positive(self):
        """Where lambda_AD does not vanish by itself."""
        return self.by_derivatives(1) > 0


@theorem.instances("aliased", run=PeriodicRun, quick=40)
def aliased(draw):
    """Spectra from smooth to rough, with frequencies far beyond the grid's."""
    size, reach = draw(st.integers(4, 12)), draw(st.integers(2, 30))
    rate = draw(st.sampled_from([0.0, 0.1, 0.5]))
    decay = np.exp(-rate * np.abs(np.arange(-reach, reach + 1)))
    return Instance(
        data={"coefficients": decay * _even(draw, reach)}, parameters={"size": size, "p": draw(st.integers(1, 2))}
    )


@theorem.instances("resolved", run=PeriodicRun, quick=30)
def resolved(draw):
    """No frequency beyond the grid's, the last one included."""
    size = 2 * draw(st.integers(2, 8))
    return Instance(
        data={"coefficients": _even(draw, size // 2)}, parameters={"size": size, "p": draw(st.integers(1, 2))}
    )


def _even(draw, reach):
    half = generator(draw).uniform(0.1, 1, reach + 1)
    return np.concatenate([half[:0:-1], half])


def ratios(run, order):
    """lambda_FD/lambda_AD at the frequencies other than 0."""
    return run.by_differences(order)[1:] / run.by_derivatives(order)[1:]


# ---- the two matrices, and their eigenvectors cos(xi x) -------------------------------------------------------------


def waves(run):
    """cos(xi x_j), (N, N): a column for every frequency of the grid."""
    places = np.arange(run.size)
    return np.cos(np.multiply.outer(places, places) % run.size * run.h)


def of_gaps(run, coefficients):
    """sum_om coefficients(om) cos(om (x_j - x_k)), (N, N)."""
    gap = np.subtract.outer(np.arange(run.size), np.arange(run.size)) * run.h
    return np.cos(np.multiply.outer(gap, run.frequencies)) @ coefficients


def difference(run):
    """The stencil of order 2p on the circle, (N, N), times h^2p: integers."""
    stencil, places = central_stencil(2 * int(run.p)), np.arange(run.size)
    found = np.zeros((run.size, run.size), dtype=int)
    for offset, weight in zip(stencil.offsets, stencil.coefficients, strict=True):
        np.add.at(found, (places, (places + offset) % run.size), int(weight))
    return found


def rounding(run, most):
    """Of a matrix of such sums, entries up to `most`, times a wave.

    The argument of the cosine errs by 3 u |om gap|, at most 6 pi u J; sums are of 2 J + 1 and of N terms.
    """
    return 2.0**5 * ULP * (len(run.frequencies) + run.size) * run.size * most


def by_derivatives(run):
    """K^(2p, 2p) at the points."""
    return of_gaps(run, run.frequencies ** (4 * int(run.p)) * run.coefficients)


DERIVATIVES = {
    "holds": identity,
    "error": lambda run: rounding(run, (run.frequencies ** (4 * int(run.p)) * run.coefficients).sum()),
}


@theorem.lemma("K^(2p,2p) at the points has the eigenvalue lambda_AD(xi) at cos(xi x)", **DERIVATIVES)
def matrix_of_derivatives(run):
    return by_derivatives(run) @ waves(run), waves(run) * run.by_derivatives(int(run.p))


@theorem.lemma(
    "differences of K at the points have the eigenvalue lambda_FD(xi) at cos(xi x)",
    holds=identity,
    # the moduli of the stencil's coefficients, twice: (2/h)^(4p)
    error=lambda run: rounding(run, (2 / run.h) ** (4 * run.p) * run.coefficients.sum()),
)
def matrix_of_differences(run):
    d = difference(run)
    found = d @ of_gaps(run, run.coefficients) @ d.T / run.h ** (4 * run.p)
    return found @ waves(run), waves(run) * run.by_differences(int(run.p))


@theorem.control("a frequency beyond the grid's has no part in lambda_AD", on="aliased", **DERIVATIVES)
def unfolded(run):
    kept = np.where(np.abs(run.frequencies) <= run.size / 2, run.coefficients, 0)
    return by_derivatives(run) @ waves(run), waves(run) * run.folded(run.frequencies ** (4 * int(run.p)) * kept)


@theorem.lemma("differences of a constant are 0, to the last bit", holds=always, bound=0, attained=True)
def constant(run):
    return np.abs(difference(run) @ np.ones(run.size, dtype=int)).max()


@theorem.control("differences of the wave of frequency pi/h are 0 too", holds=always, bound=0, on="resolved")
def fastest(run):
    return np.abs(difference(run) @ (-1) ** np.arange(run.size)).max()


exact = theorem.quantity("exact", lambda run: run.by_derivatives(int(run.p)))


@theorem.conclusion(
    "lambda_FD(xi) <= lambda_AD(xi) at every frequency",
    holds=always,
    uses=("matrix_of_derivatives", "matrix_of_differences"),
    bound=exact,
    given=lambda run: run.positive,
)
def smaller(run):
    return run.by_differences(int(run.p))


lower_order = theorem.quantity("lower_order", lambda run: ratios(run, 1))


@theorem.conclusion(
    "the ratio falls with the order: biharmonic <= Poisson at every frequency",
    holds=always,
    bound=lower_order,
    given=lambda run: run.positive[1:],
)
def order(run):
    return ratios(run, 2)


y = sympy.Symbol("y", positive=True)  # xi h/2
theorem.lemma(
    "sin(y)^4 >= (2/pi)^4 y^4 where 0 < y <= pi/2",
    of=sympy.sin(y) ** 4,
    holds=always,
    bound=(2 / sympy.pi) ** 4 * y**4,
    from_below=True,
    over={y: sympy.Interval.Lopen(0, sympy.pi / 2)},
)


@theorem.conclusion(
    "nothing aliased: lambda_FD >= (2/pi)^(4p) lambda_AD at every frequency, reached at pi/h",
    holds=always,
    uses="sin(y)^4 >= (2/pi)^4 y^4",
    bound=nyquist,
    from_below=True,
    on="resolved",
    attained=True,
)
def least_ratio(run):
    return ratios(run, int(run.p))


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "with aliases too: lambda_FD >= (2/pi)^(4p) lambda_AD",
    holds=always,
    bound=nyquist,
    from_below=True,
    on="aliased",
    given=lambda run: run.positive[1:],
)
def least_ratio_aliased(run):
    return ratios(run, int(run.p))


@theorem.control(
    "nothing aliased: the ratio is (2/pi)^(2p) at the least, that of J's singular values",
    holds=always,
    bound=sympy.sqrt(nyquist),
    from_below=True,
    on="resolved",
)
def square_root(run):
    return ratios(run, int(run.p))


@theorem.control(
    "the eigenvalues agree to one part in ten",
    holds=always,
    bound=sympy.Rational(9, 10),
    from_below=True,
    on="resolved",
)
def agree(run):
    return ratios(run, int(run.p))
