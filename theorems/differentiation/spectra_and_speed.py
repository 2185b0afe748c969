r"""When a spectrum trains faster than another: dominance and majorisation, and no more. TR3 to TR5, claims A6 and A7.

Setting     mean loss E L(t) = (s^2/2) sum_k f_t(lambda_k) of an isotropic initial residual, f_t(x) = (1 - eta x)^(2t)
            for gradient descent with eta lambda <= 1, e^(-2tx) for its flow; p the spectrum divided by its sum
Guarantee   TR3  lambda_k <= mu_k for all k: E L_lambda(t) >= E L_mu(t) for all t
            TR4  p, q of equal sums, p majorised by q: E L_p(t) <= E L_q(t) for all t, and H(p) >= H(q)
            TR5  H(p) > H(q) alone implies nothing: (.49, .49, .02) has the larger entropy and loses to (.8, .1, .1)
                 from t = 4.08 on

Derived: f_t is decreasing and convex, so that TR4 is Karamata's inequality and Schur-concavity. arXiv 2405.14099
reports that larger truncated entropy means faster training; TR4 is the form of it that can be proved, TR5 why it is a
correlation in general.
"""

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import Instance, Source, Theorem, always, identity
from ntkverify.instances import generator
from ntkverify.measures.entropy import shannon
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem(
    "Spectra, their entropy and the speed of training",
    source=Source(arxiv="2405.14099", version=4, where="truncated entropy and training", provenance="derived"),
    statement=r"""
        If $p$ is majorised by $q$, $\sum_k f_t(p_k) \le \sum_k f_t(q_k)$ for all $t$ and $H(p) \ge H(q)$; if
        $\lambda \le \mu$ termwise, $\sum_k f_t(\lambda_k) \ge \sum_k f_t(\mu_k)$.
    """,
)

TIMES = np.concatenate([[0], 4.0 ** np.arange(-2, 8)])
P, Q = (
    (sympy.Rational(49, 100),) * 2 + (sympy.Rational(1, 50),),
    (sympy.Rational(4, 5),) + (sympy.Rational(1, 10),) * 2,
)
time = sympy.Symbol("time", positive=True)


class SpectraRun(AlgebraRun):
    """Two spectra of one length, ``first`` and ``second``."""

    def losses(self, spectrum):
        """E L(t)/s^2 at TIMES: gradient descent at whole times with eta = 1/(largest of both), then its flow."""
        eta = 1 / max(self.first.max(), self.second.max())
        steps = np.floor(TIMES)[:, None]
        descent = (1 - eta * spectrum[None, :]) ** (2 * steps)
        flow = np.exp(-2 * TIMES[:, None] * eta * spectrum[None, :])
        return np.concatenate([descent.sum(axis=1), flow.sum(axis=1)]) / 2

    @property
    def loss_first(self):
        """Of the first spectrum."""
        return self.losses(self.first)

    @property
    def loss_second(self):
        """Of the second."""
        return self.losses(self.second)

    @property
    def entropies(self):
        """Of both."""
        return [shannon(s / s.sum()) for s in (self.first, self.second)]


def spectrum(draw, size):
    return 10.0 ** (-draw(st.sampled_from([0.3, 1.0, 4.0])) * generator(draw).uniform(0, 1, size))


@theorem.instances("dominated", run=SpectraRun, quick=60)
def dominated(draw):
    second = spectrum(draw, draw(st.integers(1, 12)))
    return Instance(data={"first": second * generator(draw).uniform(0.3, 1, len(second)), "second": second})


@theorem.instances("majorised", run=SpectraRun, quick=60)
def majorised(draw):
    """The first comes from the second by transfers, each an average of two values with themselves exchanged."""
    second, rng = spectrum(draw, draw(st.integers(2, 12))), generator(draw)
    first = second.copy()
    for _ in range(draw(st.integers(1, 6))):
        i, j = rng.choice(len(first), 2, replace=False)
        share = rng.uniform(0, 1)
        first[i], first[j] = share * first[i] + (1 - share) * first[j], (1 - share) * first[i] + share * first[j]
    return Instance(data={"first": first, "second": second})


@theorem.instances("two spectra", run=SpectraRun, quick=1)
def two_spectra():
    return Instance(data={"first": [float(x) for x in P], "second": [float(x) for x in Q]})


loss_first, loss_second = sympy.symbols("loss_first loss_second", positive=True)
entropy_second = theorem.quantity("entropy_second", lambda run: run.entropies[1])


@theorem.conclusion(
    "TR3: the dominated spectrum has the larger loss at all times",
    holds=always,
    bound=loss_second,
    from_below=True,
    on="dominated",
    attained=True,
)
def dominance(run):
    return run.loss_first


@theorem.conclusion(
    "TR4: the majorised spectrum has the smaller loss at all times",
    holds=always,
    bound=loss_second,
    on="majorised",
    attained=True,
)
def faster(run):
    return run.loss_first


@theorem.conclusion(
    "TR4: and the larger entropy", holds=always, bound=entropy_second, from_below=True, on="majorised", attained=True
)
def higher(run):
    return run.entropies[0]


# ---- TR5 ----------------------------------------------------------------------------------------------------------


def gap():
    """Loss of P less loss of Q under the flow of spectra of sum 1."""
    return sum(sympy.exp(-2 * time * x) for x in P) - sum(sympy.exp(-2 * time * x) for x in Q)


@theorem.lemma("TR5: H(.49, .49, .02) - H(.8, .1, .1) = 0.1382... > 0", holds=identity)
def entropies():
    values = [-sum(x * sympy.log(x) for x in shares) for shares in (P, Q)]
    return sympy.Matrix([sympy.Integer(sympy.floor(10000 * (values[0] - values[1]).evalf(30)))]), sympy.Matrix([1382])


@theorem.conclusion(
    "TR5: the one of larger entropy is slower from a time in (4.07, 4.08) on, and faster before", holds=identity
)
def crossing():
    """In z = e^(-t/50) the gap is z^2 (z - 1)^2 times a polynomial with one root in (0, 1); t = 0 is z = 1."""
    z = sympy.Symbol("z", positive=True)
    polynomial = sympy.Poly(2 * z**49 + z**2 - z**80 - 2 * z**10, z)
    quotient, rest = sympy.div(polynomial, sympy.Poly(z**2 * (z - 1) ** 2, z))
    roots = quotient.count_roots(0, 1) - sum(quotient.eval(end) == 0 for end in (0, 1))
    before, after = (
        sympy.sign(gap().subs(time, t).evalf(30)) for t in (sympy.Rational(407, 100), sympy.Rational(408, 100))
    )
    return sympy.Matrix([rest.as_expr(), roots, before, after]), sympy.Matrix([0, 1, -1, 1])


# ---- controls: false on purpose -----------------------------------------------------------------------------------


@theorem.control(
    "the spectrum of larger entropy has the smaller loss at all times",
    holds=always,
    bound=loss_second,
    on="two spectra",
)
def entropy_decides(run):
    return run.loss_first


@theorem.control(
    "it has the larger loss at all times", holds=always, bound=loss_second, from_below=True, on="two spectra"
)
def entropy_misleads(run):
    return run.loss_first


@theorem.control(
    "a late loss of the majorised spectrum is half the other's at most, whatever the transfers (t >= 64)",
    holds=always,
    bound=loss_second / 2,
    on="majorised",
    given=lambda run: np.tile(TIMES >= 64, 2),
)
def half(run):
    """Late losses are those of the least values, which a transfer among larger ones leaves as they were."""
    return run.loss_first
