"""Statements for code: the same mathematics however it is arranged."""

import pytest
import sympy
from hand_built_neurons import KINDS

from ntkverify.execution.chain import by_neuron, canonical, gradient_statements, operations


def written_out(code):
    """The outputs without any of the statements' names."""
    outputs = list(code.outputs)
    for symbol, value in reversed((*code.neuron, *code.sample, *code.mixed)):
        outputs = [e.xreplace({symbol: value}) for e in outputs]
    return outputs


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_gradient_with_its_factors_spread_is_the_same_gradient(kind):
    neuron = canonical(KINDS[kind]())
    for block in neuron.blocks:
        cotangents = tuple(sympy.Symbol(f"c{k}", real=True) for k in range(len(block.features)))
        plain = written_out(gradient_statements(neuron, block, cotangents))
        spread = written_out(gradient_statements(neuron, block, cotangents, spread=True))
        for one, other in zip(plain, spread, strict=True):
            assert sympy.expand(one - other) == 0


def test_what_belongs_to_the_neuron_alone_is_not_paid_per_sample():
    neuron = canonical(KINDS["heat"]())
    block, c = neuron.blocks[0], sympy.Symbol("c0", real=True)
    code = gradient_statements(neuron, block, (c,), spread=True)
    own = {*neuron.weights, *neuron.frozen, *(s for s, _ in code.neuron)}
    for e in code.outputs:
        for factor, rest in by_neuron(e, own).items():
            assert factor.free_symbols <= own
            assert not rest.free_symbols & own
    plain = gradient_statements(neuron, block, (c,))
    assert sum(operations(e) for _, e in code.mixed) < sum(operations(e) for _, e in plain.mixed)


def test_terms_are_gathered_by_their_factor_of_the_neuron():
    w, f, x, y = sympy.symbols("w f x y")
    assert by_neuron(2 * w * x + 2 * w * y + f * x + y, {w, f}) == {2 * w: x + y, f: x, 1: y}
