r"""The headline, as what it can be: a claim about draws, for each definition of the truncated entropy. A5, A6, A7.

Setting     N = M random features, or a two-layer network, on an interval; A_AD and A_FD as float64 computes them;
            truncated entropies H1 to H4 (`truncated_entropy`), cut-off C1 with one threshold N 2^-52 sigma_1 for both,
            or noise-aware: what lies above the rounding floor of finite differences (`rounding_floor`)
Headline    "automatic differentiation has the higher truncated entropy, and with it the lower residual loss and the
            faster training" (arXiv 2405.14099, reconstructed from digests; the paper's definition was not at hand)
Found       at 32 points, scales 1 and 5, random features. AD above FD: H3 with one threshold, every activation and both
            orders, for the plateau of differences counts: N_FD > N_AD. At 8 points the spectrum does not reach the
            plateau, and it is false; a noise-aware cut-off reverses it (in seven draws of ten at least), and so do
            exact spectra of sine features of scale 5 (12 points). H1, H2, H4 don't see the cut-off: above for slow
            tanh and erf features, below for sine features of scale 5 (12 points).
            Higher entropy, faster training (gradient descent on isotropic residuals, eta = 1/sigma_1^2): H1, and so
            H4 = H1/ln n, and H2 by a rank correlation of 0.55 at least; H3's is negative. No definition has both
            halves there. Over scales up to 20 H3's may be positive, but is below 0.55 as well.
            Lower residual loss: by a rank correlation of 0.55 neither H1 nor H3.
            |H1(A_FD) - H1(A_AD)| <= T ln(n - 1) + h(T), T <= ||A_FD - A_AD||_*/||A_AD||_* = O(h^2)

The last line is derived (Audenaert's inequality for entropies; Mirsky's for singular values): it is why no cut-off
decides.
"""

import functools

import numpy as np
import sympy

from ntkverify import Source, Theorem, always, correlates, with_probability
from ntkverify.glossary import delta, n
from ntkverify.measures.entropy import DEFINITIONS, above, shannon
from ntkverify.problems.random_features.collocation import PARTS
from ntkverify.problems.random_features.compared import compared_run
from ntkverify.problems.random_features.grids import drawn_problem

theorem = Theorem(
    "Automatic against finite differences: which truncated entropy, where",
    source=Source(arxiv="2405.14099", version=4, where="abstract; definitions inferred", provenance="reconstructed"),
    statement=r"""
        $H_3(A_{AD}) > H_3(A_{FD})$ for a common threshold near machine epsilon, scales 1 and 5, 32 points
        (\emph{inferred});
        $|H_1(A_{FD}) - H_1(A_{AD})| \le T\ln(n-1) + h(T)$, $T \le \|A_{FD}-A_{AD}\|_*/\|A_{AD}\|_*$.
    """,
)

distance = sympy.Symbol("distance", positive=True)
audenaert = theorem.constant(
    "audenaert",
    distance * sympy.log(n - 1) - distance * sympy.log(distance) - (1 - distance) * sympy.log(1 - distance),
    "T ln(n - 1) + h(T), by which entropies of spectra at a distance T differ at the most (sharp)",
)


def family(draw, **options):
    return drawn_problem(draw, laws=[0], **{"sizes": [32], "delta": 0.1, **options})


MODERATE, COARSE, SLOW, WAVES = "scales 1 and 5", "scales 1 and 5, 8 points", "slow tanh and erf", "sine of scale 5"


@theorem.instances(MODERATE, run=compared_run(), quick=300)
def moderate(draw):
    return family(draw, radii=[1.0, 5.0])


@theorem.instances(COARSE, run=compared_run(), quick=60)
def coarse(draw):
    return family(draw, sizes=[8], radii=[1.0, 5.0])


@theorem.instances(SLOW, run=compared_run(), quick=60)
def slow(draw):
    return family(draw, radii=[1.0], activations=[1, 2])


@theorem.instances(WAVES, run=compared_run(), quick=60)
def waves(draw):
    """Few points, at which exact spectra are cheap."""
    return family(draw, sizes=[12], radii=[5.0], activations=[0])


@theorem.instances("biharmonic with boundary rows", run=compared_run(), quick=60)
def bounded(draw):
    return family(draw, radii=[1.0, 5.0], orders=[2], boundary=True, smooth=True, delta=0.3)


@theorem.instances("biharmonic without", run=compared_run(), quick=60)
def unbounded(draw):
    return family(draw, radii=[1.0, 5.0], orders=[2], smooth=True)


SCALES = [1.0, 2.0, 5.0, 10.0, 20.0]


@theorem.instances("random features", run=compared_run(), quick=300)
def features(draw):
    return family(draw, radii=SCALES)


@theorem.instances("networks", run=compared_run(trainable=PARTS), quick=300)
def networks(draw):
    return family(draw, radii=SCALES)


@theorem.instances("few features", run=compared_run(), quick=120)
def few(draw):
    # sines: differences of the others may be all 0 at so few points, where they are flat to the last bit
    return family(draw, sizes=[3, 4], radii=SCALES, activations=[0])


def advantage(run, name, rule="common"):
    """H(A_AD)/H(A_FD)."""
    first, other = run.entropies(name, rule)
    return first / other


# ---- AD above FD? -------------------------------------------------------------------------------------------------


def exact_advantage(run):
    """The same of exact spectra, for H3 with one threshold."""
    tau = run.threshold
    first, other = (
        DEFINITIONS["H3"].entropy(s, above(s, tau * s[0])) for s in (run.singular, run.differences.singular)
    )
    return first / other


LIKELY = {"holds": with_probability(1 - delta)}
ABOVE = {**LIKELY, "bound": 1, "from_below": True}
h3_advantage = functools.partial(advantage, name="H3")
theorem.conclusion("H3, one threshold, 32 points: AD above FD", of=h3_advantage, on=MODERATE, **ABOVE)
theorem.control("H3, one threshold: AD above FD at 8 points too", of=h3_advantage, on=COARSE, **ABOVE)

one_more = theorem.quantity("one_more", lambda run: run.cutoffs()[0] + 1)
MORE = {**LIKELY, "bound": one_more, "from_below": True, "error": lambda run: 0}


@theorem.control("N_FD > N_AD at 8 points too", on=COARSE, **MORE)
@theorem.lemma("32 points: N_FD > N_AD, the cut-off number of A_FD is the larger one", on=MODERATE, **MORE)
def cutoff(run):
    return run.cutoffs()[1]


for name in ("H1", "H2", "H4"):
    measured = functools.partial(advantage, name=name)
    theorem.conclusion(f"{name}: AD above FD for slow tanh and erf features", of=measured, on=SLOW, **ABOVE)
    theorem.conclusion(f"{name}: FD above AD for sine features of scale 5", of=measured, bound=1, on=WAVES, **LIKELY)
    theorem.control(f"{name}: AD above FD for sine features of scale 5 too", of=measured, on=WAVES, **ABOVE)

theorem.control(
    "H3, noise-aware cut-off: AD above FD", of=lambda run: advantage(run, "H3", "noise-aware"), on=MODERATE, **ABOVE
)
theorem.conclusion(
    "H3, noise-aware cut-off: FD above AD in seven draws of ten at least",
    of=lambda run: advantage(run, "H3", "noise-aware"),
    holds=with_probability(1 - 3 * delta),
    bound=1,
    on=MODERATE,
)
EXACT = "H3, one threshold, exact spectra of sine features of scale 5"
theorem.conclusion(f"{EXACT}: FD above AD", of=exact_advantage, bound=1, on=WAVES, **LIKELY)
theorem.control(f"{EXACT}: AD above FD", of=exact_advantage, on=WAVES, **ABOVE)

# ---- why no cut-off decides ---------------------------------------------------------------------------------------

nuclear = theorem.quantity(
    "nuclear",
    lambda run: np.linalg.norm(run.differences.rounded_matrix() - run.rounded_matrix(), "nuc") / run.seen.sum(),
)
MIXED = ("random features", "networks")


@theorem.lemma(
    "|H1(A_FD) - H1(A_AD)| <= T ln(n - 1) + h(T), all values retained",
    holds=always,
    bound=audenaert,
    on=(*MIXED, "few features"),
    error=lambda run: 1e-12,
)
def continuity(run):
    first, other = (shannon(s / s.sum()) for s in run.spectra)
    return abs(first - other)


@theorem.lemma(
    "T <= ||A_FD - A_AD||_*/||A_AD||_*",
    holds=always,
    bound=nuclear,
    on=(*MIXED, "few features"),
    error=lambda run: 1e-12,
)
def spectral_distance(run):
    return run.distance


# ---- higher entropy, faster training? -----------------------------------------------------------------------------


def compared(entropies, losses):
    """log H(A_AD)/H(A_FD), and log of A_FD's loss over A_AD's: both positive where the headline holds."""
    return np.array([np.log(entropies[0] / entropies[1]), np.log(losses[1] / losses[0])])


def faster(name):
    """Of 100 steps on isotropic residuals."""
    return lambda run: compared(run.entropies(name), run.losses_after(100))


def lower(name):
    """By the residual losses."""
    return lambda run: compared(run.entropies(name), run.residual_losses + 1e-300)


LEAST = 0.55  #: the rank correlation at which one is said to go with the other, whichever entropy
PLACES = {f"random features, {MODERATE}": MODERATE, "random features": "random features", "networks": "networks"}
for title, kind in PLACES.items():
    for name in ("H1", "H2"):
        theorem.conclusion(
            f"{title}: of AD and FD the one of higher {name} trains faster (100 steps, isotropic residual)",
            of=faster(name),
            holds=correlates(LEAST),
            on=kind,
        )
    theorem.control(
        f"{title}: the one of higher H3, one threshold, does so too, by a rank correlation of {LEAST} at least",
        of=faster("H3"),
        holds=correlates(LEAST),
        on=kind,
    )
theorem.conclusion(
    f"random features, {MODERATE}: H3, one threshold, and speed have a negative rank correlation, -0.05 at most",
    of=faster("H3"),
    holds=correlates(-0.05),
    on=MODERATE,
)

residual_fd = theorem.quantity("residual_fd", lambda run: run.residual_losses[1])


@theorem.control(
    "smooth right-hand sides without boundary rows: AD has the lower residual loss as well",
    bound=residual_fd,
    on="biharmonic without",
    **LIKELY,
)
@theorem.conclusion(
    "smooth right-hand sides, boundary values among the residuals: AD has the lower residual loss",
    bound=residual_fd,
    on="biharmonic with boundary rows",
    **LIKELY,
)
def residual_of_derivatives(run):
    return run.residual_losses[0]


for name, title in (("H1", "higher H1"), ("H3", "higher H3, one threshold,")):
    theorem.control(
        f"random features: the one of {title} has the lower residual loss, by a rank correlation of {LEAST} at least",
        of=lower(name),
        holds=correlates(LEAST),
        on="random features",
    )
