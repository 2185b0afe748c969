"""Claims over ranges: level, slack, mutants, what happens without the solvers, and somebody else's check."""

from pathlib import Path

import pytest
import sympy
from sympy import Interval, Rational, exp, oo, sqrt

from ntkverify import Check, NtkVerifyError, Source, Theorem, always, load_theorem, with_probability
from ntkverify.glossary import eta, lambda_0
from ntkverify.proving import balls, smt
from ntkverify.search.score import searchable

MODULES = sorted((Path(__file__).parents[2] / "theorems").rglob("*.py"))
HALF_LINE = Interval.open(0, oo)


@pytest.fixture
def theorem():
    theorem = Theorem("T", source=Source(), statement="S")
    largest = theorem.constant("largest", Rational(1, 3), "largest a")
    steps = theorem.constant("steps", sympy.Integer(4), "sum of the steps")
    theorem.conclusion(
        "sums",
        of=eta / (1 - sqrt(1 - eta * lambda_0 / 2)),
        holds=always,
        bound=steps / lambda_0,
        over={eta: HALF_LINE, lambda_0: HALF_LINE},
        given=sympy.Le(eta * lambda_0 / 2, largest, evaluate=False),
    )
    theorem.lemma("decay", of=exp(-eta * lambda_0), holds=always, bound=1, over={eta: HALF_LINE, lambda_0: HALF_LINE})
    theorem.control("too small", of=steps, holds=always, bound=3, over={})
    theorem.validate()
    return theorem


def test_verdicts(theorem):
    sums, decay, control = Check(theorem).verdicts()
    assert (sums.shown, sums.level, decay.shown, decay.level) == ("holds", "proved", "holds", "proved")
    assert "z3" in sums.evidence
    assert sums.slack == pytest.approx(1, abs=0.0011)
    assert (control.shown, control.level) == ("refuted", "certified")
    assert sums.to_dict()["level"] == "proved"


@pytest.mark.parametrize("name", ["steps", "sums"])
def test_mutants_are_refuted_at_a_certified_point(theorem, name):
    with theorem.mutated(name, Rational(999, 1000)):
        verdict = Check(theorem).verdict(theorem.claims["sums"])
    assert (verdict.status, verdict.level) == ("violated", "certified")


def test_where_a_root_is_of_a_negative_number_nothing_is_proved(theorem):
    """Beyond eta lambda_0/2 = 1; no sample there fails, and the level says that they were samples."""
    with theorem.mutated("largest", 4):
        verdict = Check(theorem).verdict(theorem.claims["sums"])
    assert (verdict.status, verdict.level.partition(",")[0]) == ("holds", "sampled")


def test_a_search_spends_nothing_on_them(theorem):
    assert not any(searchable(claim) for claim in theorem.claims.values())


@pytest.mark.parametrize(("missing", "others"), [((smt, balls), ()), ((smt,), (balls,)), ((balls,), (smt,))])
def test_without_a_solver_they_are_sampled_and_say_so(theorem, monkeypatch, tmp_path, missing, others):
    monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path))
    for tool in missing:
        monkeypatch.setattr(tool, "is_there", lambda: False)
    from ntkverify.proving import prove

    prove._tools.cache_clear()
    try:
        sums, decay, control = Check(theorem).verdicts()
    finally:
        prove._tools.cache_clear()
    assert control.shown == "refuted"
    assert sums.shown == decay.shown == "holds"
    if smt in missing:
        assert sums.level.startswith("sampled, ")
        assert "pip install 'ntkverify[proofs]'" in sums.evidence
    else:
        assert sums.level == "proved"
    if balls in missing and smt in missing:
        assert decay.level.startswith("sampled, ")
        assert control.level.startswith("sampled, ")
        with theorem.mutated("steps", Rational(1, 2)):
            assert Check(theorem).verdict(theorem.claims["sums"]).status == "violated"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"holds": always, "bound": 1, "of": eta, "over": {eta: HALF_LINE}, "on": "some"}, "leave out"),
        ({"holds": with_probability(0.9), "bound": 1, "of": eta, "over": {eta: HALF_LINE}}, "remove over="),
        ({"holds": always, "bound": 1, "of": eta, "over": {}}, "names no range"),
        ({"holds": always, "bound": 1, "of": "drift", "over": {}}, "measures a run"),
        ({"holds": always, "of": eta, "over": {eta: HALF_LINE}}, "has no bound"),
    ],
)
def test_mistakes_are_told(theorem, options, said):
    def add():
        theorem.lemma("new", **options)
        theorem.validate()

    with pytest.raises(NtkVerifyError, match=said):
        add()


@pytest.fixture(scope="module")
def proofs():
    found = {}
    for path in MODULES:
        theorem = load_theorem(path)
        check = Check(theorem)
        for name, claim in theorem.claims.items():
            if claim.over is not None:
                found[path.stem, name] = (claim.kind, check.proof(claim))
    return found


@pytest.mark.heavy
def test_every_one_of_the_theorems_is_proved_and_every_control_refuted(proofs):
    words = {(kind == "control", proof.status) for kind, proof in proofs.values()}
    assert words == {(False, "proved"), (True, "refuted")}
    assert sum(kind != "control" for kind, _ in proofs.values()) >= 40


@pytest.mark.heavy
def test_cvc5_comes_to_the_same_answers(proofs):
    """The text that was put to z3, put to another solver; what it can't decide within its limit is one in ten at most.

    What is refuted has a point of its own that balls certify.
    """
    cvc5 = pytest.importorskip("cvc5")
    texts = {proof.text: key for key, (_, proof) in proofs.items() if proof.suffix == ".smt2" and not proof.refutation}
    answers = {key: answered(cvc5, text) for text, key in texts.items()}
    assert {answer for answer in answers.values() if answer != "unknown"} == {"unsat"}
    assert len(answers) >= 25
    assert sum(answer == "unknown" for answer in answers.values()) <= len(answers) / 10


def answered(cvc5, text):
    manager = cvc5.TermManager()
    solver = cvc5.Solver(manager)
    solver.setOption("rlimit-per", "20000")  # cvc5's own count, so that a loaded machine changes nothing
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "proof")
    symbols, found = parser.getSymbolManager(), ""
    while not (command := parser.nextCommand()).isNull():
        found += command.invoke(solver, symbols)
    return found.partition(" ")[0].strip()
