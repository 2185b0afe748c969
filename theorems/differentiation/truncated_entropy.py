r"""What every definition of the truncated entropy does, and what none of them does: F-H1 to F-H4, claim A10.

Setting     s_1 >= ... >= s_n, N of them retained, p_k = s_k^g / sum over the retained ones (H2: over all)
            H1 = - sum_(k <= N) p_k ln p_k, H2 the same sum with the other p_k, H3 = H1/ln N, H4 = H1/ln n
Guarantee   0 <= H1 <= ln N (sharp); none sees the scale; retaining one more value of share q raises H1 by exactly
            h(q) - q H1 >= q ln(1 + 1/N) - (1 - q) ln(1 - q) if it is at most the mean (sharp); H2 and H4 rise too,
            H3 need not: ln 2 -> ln 2/ln 3; H1 is Schur-concave; lifting small values to a floor raises H1

The paper (arXiv 2405.14099) defines a truncated entropy by an effective cut-off number; its formulas were not at
hand, so that all candidates are here, for g = 1 and 2. The last guarantee is what contradicts its headline without
truncation: larger small values, which finite differences are said to have, raise the entropy.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, Source, Theorem, always, identity
from ntkverify.instances import generator
from ntkverify.measures.entropy import DEFINITIONS, h1, h2, h3, h4, shannon
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem(
    "Properties of truncated entropies",
    source=Source(
        arxiv="2405.14099", version=4, where="truncated entropy, every candidate", provenance="reconstructed"
    ),
    statement=r"""
        $0 \le H_1 \le \ln N$; $H_1(N+1) - H_1(N) = h(q) - q H_1(N)$ with $q = s_{N+1}/\sum_{j \le N+1} s_j$; $H_1$ is
        Schur-concave in $p$; $H_2, H_4$ rise with the cut-off, $H_3 = H_1/\ln N$ need not.
    """,
)

N, q = sympy.symbols("N q", positive=True)
rise = theorem.constant(
    "rise", q * sympy.log(1 + 1 / N) - (1 - q) * sympy.log(1 - q), "what one more retained value adds at the least"
)


class SpectrumRun(AlgebraRun):
    """A spectrum, how many of its values are retained, and the power g."""

    @property
    def N(self):
        """Number of values retained."""
        return int(self.instance.parameters["retained"])

    @property
    def g(self):
        """Power."""
        return int(self.instance.parameters["power"])

    @property
    def q(self):
        """Share of the next value among N + 1."""
        values = self.spectrum[: self.N + 1] ** self.g
        return values[-1] / values.sum()

    def entropy(self, definition, retained=None, spectrum=None):
        """A truncated entropy, of N values of this spectrum by default."""
        values = self.spectrum if spectrum is None else spectrum
        return definition(values, self.N if retained is None else retained, power=self.g)


def drawn(draw, spectrum):
    values = np.sort(spectrum)[::-1]
    retained = draw(st.integers(2, len(values) - 1)) if len(values) > 2 else 1
    return Instance(data={"spectrum": values}, parameters={"retained": retained, "power": draw(st.integers(1, 2))})


@theorem.instances("spectra", run=SpectrumRun, quick=60)
def spectra(draw):
    """From flat to falling over thirty orders of magnitude."""
    size, fall = draw(st.integers(3, 20)), draw(st.sampled_from([0.0, 0.1, 1.0, 10.0, 30.0]))
    return drawn(draw, 10.0 ** (-fall * generator(draw).uniform(0, 1, size)))


@theorem.instances("flat", run=SpectrumRun, quick=10)
def flat(draw):
    return drawn(draw, np.full(draw(st.integers(3, 12)), 2.5))


@theorem.instances("two and nearly nothing", run=SpectrumRun, quick=3)
def nearly_two(draw):
    return Instance(
        data={"spectrum": [1.0, 1.0, 10.0 ** -draw(st.integers(6, 12))]}, parameters={"retained": 2, "power": 1}
    )


SPECTRA = ("spectra", "flat")


@theorem.conclusion(
    "F-H1: H1 <= ln N, reached by flat spectra", holds=always, bound=sympy.log(N), on=SPECTRA, attained=True
)
def at_most(run):
    return run.entropy(h1)


@theorem.lemma("F-H1: no definition sees the scale", holds=identity, on=SPECTRA, error=lambda run: 1e-12)
def scale_free(run):
    found = [[run.entropy(d.entropy, spectrum=c * run.spectrum) for d in DEFINITIONS.values()] for c in (1.0, 1e-3)]
    return np.array(found[0]), np.array(found[1])


@theorem.lemma(
    "F-H2: one more value of share q changes H1 by h(q) - q H1", holds=identity, on=SPECTRA, error=lambda run: 1e-12
)
def grouping(run):
    return (
        run.entropy(h1, run.N + 1) - run.entropy(h1),
        shannon(np.array([run.q, 1 - run.q])) - run.q * run.entropy(h1),
    )


@theorem.conclusion(
    "F-H2: a retained value at most the mean raises H1 by q ln(1 + 1/N) - (1 - q) ln(1 - q) at the least",
    holds=always,
    bound=rise,
    from_below=True,
    on=SPECTRA,
    error=lambda run: 1e-12,
    attained=True,
)
def raised(run):
    """By the identity above: the difference itself would cancel where q is tiny."""
    return shannon(np.array([run.q, 1 - run.q])) - run.q * run.entropy(h1)


for name, entropy in (("H2", h2), ("H4", h4)):
    before = theorem.quantity(f"before_{name}", lambda run, entropy=entropy: run.entropy(entropy))

    @theorem.lemma(
        f"F-H2: {name} does not fall with the cut-off",
        holds=always,
        bound=before,
        from_below=True,
        on=SPECTRA,
        # absolute: entropies may be small beside the sums that they are
        error=lambda run: 1e-12,
        attained=True,
    )
    def monotone(run, entropy=entropy):
        return run.entropy(entropy, run.N + 1)


def smoothed(run):
    """A twentieth of the difference of two values goes from the larger to the smaller: less majorised, any spectrum."""
    shares = run.spectrum**run.g / (run.spectrum**run.g).sum()
    moved = shares.copy()
    step = (shares[0] - shares[-1]) / 20
    moved[0], moved[-1] = shares[0] - step, shares[-1] + step
    return shares, moved


unsmoothed = theorem.quantity("unsmoothed", lambda run: shannon(smoothed(run)[0]))
lifted_from = theorem.quantity("lifted_from", lambda run: run.entropy(h1, len(run.spectrum)))


@theorem.conclusion(
    "F-H3: H is Schur-concave", holds=always, bound=unsmoothed, from_below=True, on=SPECTRA, attained=True
)
def schur(run):
    return shannon(smoothed(run)[1])


@theorem.conclusion(
    "F-H4: lifting small values to a floor raises the entropy of all values",
    holds=always,
    bound=lifted_from,
    from_below=True,
    on=SPECTRA,
    attained=True,
)
def lifted(run):
    floor = run.spectrum[run.N]
    return run.entropy(h1, len(run.spectrum), np.maximum(run.spectrum, floor))


@theorem.lemma("two equal values and a third that vanishes: H3 falls from 1 to ln 2/ln 3", holds=identity)
def h3_example():
    third = sympy.Symbol("third", positive=True)
    shares = [1 / (2 + third), 1 / (2 + third), third / (2 + third)]
    entropy = -sum(share * sympy.log(share) for share in shares)
    return sympy.Matrix([sympy.limit(entropy / sympy.log(3), third, 0, "+")]), sympy.Matrix(
        [sympy.log(2) / sympy.log(3)]
    )


# ---- controls: false on purpose -----------------------------------------------------------------------------------

h3_before = theorem.quantity("h3_before", lambda run: run.entropy(h3))


@theorem.control(
    "H3 does not fall with the cut-off either",
    holds=always,
    bound=h3_before,
    from_below=True,
    on="two and nearly nothing",
)
def h3_monotone(run):
    return run.entropy(h3, run.N + 1)


@theorem.control("H1 <= ln(N - 1)", holds=always, bound=sympy.log(N - 1), on="flat", given=lambda run: run.N > 1)
def too_small(run):
    return run.entropy(h1)


@theorem.control(
    "of two spectra that differ in their third value only, the one with the larger has the larger H3",
    holds=always,
    bound=h3_before,
    from_below=True,
    on="two and nearly nothing",
)
def larger_is_flatter(run):
    """The third is retained once it exceeds a threshold: then H3 is that of three values."""
    return run.entropy(h3, 3, np.array([1.0, 1.0, 10 * run.spectrum[-1]]))
