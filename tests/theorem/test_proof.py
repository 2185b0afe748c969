"""The graph of a proof: typed edges, edges that bounds imply, what is refused; and the graphs of the theorems here."""

from pathlib import Path

import pytest
import sympy

from ntkverify import NtkVerifyError, Source, Theorem, always
from ntkverify.glossary import eta, n
from ntkverify.lemmas.part import Part
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.theorem.proof import proof_of

FOLDER = Path(__file__).parents[2] / "theorems" / "natural_gradient"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))

#: lemmas on which nothing rests, by module: observations about exponents and sharpness, and remarks of the paper
LEAVES = {
    "gauss_newton_identity": ["no solution of J v = r is shorter: the step has no part in the kernel of J"],
    "gradient_descent_pinn": [
        "any step: ||r(k+1)|| <= max_i |1 - eta lambda_i(H(k))| ||r(k)|| + ||I_1(k)||",
        "the root mean square drift shrinks like m^(-1/2)",
        "max_r ||w_r(k) - w_r(0)||/max_r ||w_r||^2 shrinks like m^(-1/2)",
    ],
    "gradient_descent_regression": ["the drift shrinks like m^(-1/2)"],
    "initial_gram_pinn": [
        "n_1 E s_p(0)^2 - f^2 for the heat operator, in 1 and 2 space dimensions",
        "n_2 E h_j(0)^2 - g^2 = 15/2 rho^6",
        "E||psi||^2 grows like 18 rho^2 d^2",
        "tr H^inf does not change when every interior sample comes three times and every boundary sample twice",
        "||H^inf|| is at most the largest E||psi||^2 plus the largest E||chi||^2, whatever n_1 and n_2",
        "Chebyshev's bound falls as the width grows",
        "both terms of Bernstein's and the tail fall as the width grows, M fixed",
        "M/m falls as the width grows from one neuron on, delta <= 1/2: m dB_2^2/dm <= B_2^2",
        "||H(0) - H^inf|| >= t is likelier than 2 exp(-c m t^2) from the derived width on, for every c",
    ],
    "jacobian_stability": ["kappa is the limit of P(|g| <= R)/R as R -> 0"]
    + [f"s_{order} is reached, up to 1e-6" for order in (2, 3, 4)],
    "natural_gradient_pinn": [
        "lambda_min(H(k)) >= lambda_0/2 while J stays within gamma sqrt((1 - eta) lambda_0) of J(0)"
    ],
    "positive_definiteness": [
        "ReLU^3: halving the distance of two interior samples halves lambda_0, up to sqrt(h) as chosen",
        "smooth: halving the distance of two interior samples quarters lambda_0, up to sqrt(h) as chosen",
    ],
    "quadratic_convergence": [
        "rounding ends it: if ||r(0)|| <= 0.1 and ||r(1)|| <= ||r(0)||/10, then ||r(5)|| is down at the rounding"
    ],
}


@pytest.fixture
def theorem():
    theorem = Theorem("T", source=Source(), statement="S")
    theorem.instances("some", run=AlgebraRun, quick=1)(lambda: None)
    theorem.control("false", holds=always, bound=n)(lambda run: 1)
    return theorem


def measure(run):
    return 1


class TestOfATheorem:
    def test_typed_words(self, theorem):
        theorem.lemma("the first lemma", holds=always, bound=1)(lambda run: 1)
        theorem.lemma("another", holds=always, bound=1)(measure)
        part = Part(theorem)
        part.lemma("one of the part", holds=always, bound=1, of="n")
        part.lemma("two of the part", holds=always, bound=1, of="n")
        theorem.conclusion("c", holds=always, bound=1, uses=("the first", "measure", "part"))(lambda run: 1)
        proof = proof_of(theorem)
        assert proof.edges["c"] == ("the first lemma", "another", "one of the part", "two of the part")
        assert proof.unused == ()

    def test_a_bound_uses_the_lemma_that_bounds_by_its_constant(self, theorem):
        inner = theorem.constant("inner", sympy.Integer(2), "")
        outer = theorem.constant("outer", inner**2, "")
        theorem.lemma("by inner", holds=always, bound=inner**2)(measure)
        theorem.lemma("compares constants", of=inner, holds=always, bound=outer)
        theorem.lemma("from below", holds=always, bound=inner, from_below=True)(measure)
        theorem.conclusion("c", holds=always, bound=3 * outer * eta)(measure)
        proof = proof_of(theorem)
        assert proof.edges["c"] == proof.edges["compares constants"] == ("by inner",)
        assert proof.unused == ("compares constants", "from below")

    def test_two_lemmas_by_one_constant_do_not_use_each_other(self, theorem):
        constant = theorem.constant("c_1", sympy.Integer(2), "")
        for name in ("a", "b"):
            theorem.lemma(name, holds=always, bound=constant)(measure)
        assert proof_of(theorem).edges == {"a": (), "b": ()}

    def test_a_proof_in_two_pieces(self, theorem):
        theorem.instances("others", run=AlgebraRun, quick=1)(lambda: None)
        theorem.lemma("alone", holds=always, bound=1, on="others")(measure)
        theorem.conclusion("c", holds=always, bound=1, on="some")(measure)
        assert len(proof_of(theorem).pieces) == 2

    @pytest.mark.parametrize(
        ("uses", "message"),
        [
            ("measur", "'c'.*'measur'.*nearest name is 'measure'"),
            ("lemma", "'lemma', with which 2 claims begin"),
            ("false", "no claim or part"),
        ],
    )
    def test_an_unknown_word_is_refused_with_the_nearest(self, theorem, uses, message):
        theorem.lemma("lemma 1", holds=always, bound=1)(measure)
        theorem.lemma("lemma 2", holds=always, bound=1)(lambda run: 1)
        theorem.conclusion("c", holds=always, bound=1, uses=uses)(lambda run: 1)
        with pytest.raises(NtkVerifyError, match=message):
            theorem.validate()

    def test_a_circle_is_one_sentence(self, theorem):
        for name, uses in (("a", "b"), ("b", "c"), ("c", "a")):
            theorem.conclusion(name, holds=always, bound=1, uses=uses)(lambda run: 1)
        with pytest.raises(NtkVerifyError, match="runs in a circle: 'a' -> 'b' -> 'c' -> 'a'"):
            theorem.validate()


@pytest.mark.parametrize("name", MODULES)
class TestOfTheTheoremsHere:
    def test_hangs_together_and_names_what_nothing_uses(self, name, loaded):
        proof = proof_of(loaded(FOLDER / f"{name}.py"))
        assert len(proof.pieces) == 1
        assert list(proof.unused) == LEAVES.get(name, [])

    def test_every_conclusion_rests_on_premises(self, name, loaded):
        proof = proof_of(loaded(FOLDER / f"{name}.py"))
        for conclusion in proof.conclusions:
            assert all(proof.premises[step] for step in proof.below(conclusion))

    def test_declares_its_data_and_what_its_step_allows(self, name, loaded):
        theorem = loaded(FOLDER / f"{name}.py")
        assert theorem.roles.data
        assert (theorem.roles.largest_step is not None) == any("step" in a for a in theorem.assumptions)
        assert (theorem.roles.width is not None) >= any("width" in a for a in theorem.assumptions)
