"""The graph of a proof: what rests on what, what is sound, which lemma is loosest, what a control is hung on."""

from pathlib import Path

import pytest
import sympy

from ntkverify import Source, Theorem, always
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.report.graph.model import proof_graph
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.proof import falsified_by, proof_of

THEOREMS = Path(__file__).parents[3] / "theorems"


def record(claim, verdict="holds", slack=2.0, quantifier="always"):
    return {"claim": claim, "verdict": verdict, "slack": slack, "quantifier": quantifier}


@pytest.fixture
def theorem():
    """first -> second -> end, and first -> end, which the longer way implies; a control each."""
    made = Theorem("T", source=Source(), statement="s")
    c = made.constant("c", sympy.Integer(2), "two")
    double = made.constant("double", 2 * c, "twice that")
    made.constant("idle", sympy.Integer(3), "in no bound")
    made.assumption("small")(lambda run: 1 - run.x)
    made.assumption("even")(lambda run: run.x % 2)
    made.instances("some", run=AlgebraRun, quick=1)(lambda draw: None)
    made.lemma("first", holds=always, of="x", bound=c, assumes="small")
    made.lemma("second", holds=always, of="y", bound=double, uses="first")
    made.conclusion("end", holds=always, of="z", bound=sympy.Integer(9), uses=("first", "second"))
    made.control("no z", holds=always, of="z", bound=sympy.Integer(0))
    made.control("no x", holds=always, of="x", bound=sympy.Integer(0))
    return made


GOOD = [record("first"), record("second", slack=40.0), record("end", "observed"), record("no x", "refuted")]


class TestGraph:
    def test_edges_that_a_longer_way_implies_are_not_drawn(self, theorem):
        graph = proof_graph(theorem)
        assert set(graph.edges) == {
            ("first", "second"), ("second", "end"), ("constant c", "first"), ("constant c", "constant double"),
            ("constant double", "second"),
        }  # fmt: skip
        assert "first" in graph.focus("end")

    def test_a_constant_that_no_bound_contains_has_no_place(self, theorem):
        assert [node.name for node in proof_graph(theorem).of_kind("constant")] == ["c", "double"]

    def test_premises_are_letters_where_they_are_first_needed(self, theorem):
        graph = proof_graph(theorem)
        assert [(node.letter, node.name) for node in graph.of_kind("premise")] == [("A", "small"), ("B", "even")]
        assert [graph.nodes[name].premises for name in ("first", "second", "end")] == [("A",), ("B",), ()]
        assert graph.focus("premise even") == {"premise even", "second", "end"}
        assert {"premise even", "premise small"} <= graph.focus("end")

    def test_sound_is_what_holds_with_all_below_it(self, theorem):
        assert {n.name for n in proof_graph(theorem, GOOD).nodes.values() if n.sound} == {"first", "second", "end"}
        broken = [record("first", "violated"), *GOOD[1:]]
        assert not any(node.sound for node in proof_graph(theorem, broken).nodes.values())
        unknown = proof_graph(theorem, GOOD[1:])
        assert not any(node.sound for node in unknown.nodes.values())
        assert unknown.nodes["first"].verdict == "not checked"

    def test_the_loosest_is_named_and_shaded(self, theorem):
        graph = proof_graph(theorem, GOOD)
        assert graph.loosest == "second"
        assert [graph.nodes[name].shade for name in ("first", "second")] == [1, 2]
        assert proof_graph(theorem, [record("first", slack=1e-3, quantifier="identity")]).loosest == ""

    def test_controls_hang_on_what_they_falsify(self, theorem):
        assert falsified_by(theorem) == {"no z": "end", "no x": "first"}
        graph = proof_graph(theorem, GOOD)
        assert [(c.name, c.verdict) for c in graph.nodes["first"].controls] == [("no x", "refuted")]
        assert [(c.name, c.verdict) for c in graph.nodes["end"].controls] == [("no z", "not checked")]


def test_controls_of_the_regression_hang_on_what_their_sentences_speak_of():
    found = falsified_by(load_theorem(THEOREMS / "natural_gradient" / "gradient_descent_regression.py"))
    for control, claim in {
        "the rate to the sixth power": "L(k) <= (1 - eta lambda_0/2)^k L(0) for all k",
        "the gradient bound without sqrt(n)": "max_r ||dL/dw_r|| <= sqrt(n/m) ||r||",
        "the drift shrinks like 1/m": "the drift shrinks like m^(-1/2)",
        "the Gram lemma at a width that forgets n": "Gram lemma at its own width for clustered inputs",
    }.items():
        assert found[control].startswith(claim)


def test_what_is_in_view_is_what_the_proof_says():
    theorem = load_theorem(THEOREMS / "natural_gradient" / "gradient_descent_regression.py")
    proof, graph = proof_of(theorem), proof_graph(theorem)
    for name in proof.edges:
        claims = {other for other in graph.focus(name) if graph.nodes[other].kind in ("lemma", "conclusion")}
        assert claims == proof.below(name)
        assert {
            p for premise in graph.focus(name) if premise.startswith("premise ") for p in premise[8:].split("; ")
        } == {p for other in claims for p in proof.premises[other] if p != "the network itself"}
