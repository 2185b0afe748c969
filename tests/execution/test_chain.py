"""Statements for code: the same mathematics however it is arranged."""

import ast
import builtins

import numpy as np
import pytest
import sympy
from built_neurons import BUILT
from hand_built_neurons import KINDS, PHI

from ntkverify.arithmetic.evaluator import ArrayAlgebra, evaluate
from ntkverify.execution.kernels.chain import by_neuron, canonical, gradient_statements, operations
from ntkverify.execution.kernels.sweep_source import kernel_source
from ntkverify.symbolic.expression.functions import PositivePower
from ntkverify.symbolic.network.neuron import Block, Neuron


def nested_steps():
    """A step of a step, used by several weights: sums of such neurons count patterns."""
    a, b, q, w, v, x = sympy.symbols("a b q w v x", real=True)
    inner = PositivePower(w * x, 0)
    outer = PositivePower(v * inner - sympy.Rational(1, 2), 0)
    feature = a * outer + b * inner + q * (inner + outer * sympy.tanh(x))
    return Neuron((a, b, q), (w, v), (x,), (Block("data", (feature,), (PHI,), PHI),))


def costly_step():
    """A step whose argument is dear, used by two weights."""
    a, b, w, x = sympy.symbols("a b w x", real=True)
    step = PositivePower(sympy.erf(w * x) - sympy.Rational(1, 2), 0)
    return Neuron((a, b), (w,), (x,), (Block("data", (a * step + b * x * step,), (PHI,), PHI),))


def shared_factor():
    """Two features that share the outer weight."""
    a, w, b, x, p, q = sympy.symbols("a w b x Phi_1 Phi_2", real=True)
    u = a * sympy.tanh(w * x + b)
    return Neuron((w, b), (a,), (x,), (Block("data", (u, u**2 / a), (p, q), p * q),))


EVERY = {
    **KINDS, **BUILT, "steps of steps": nested_steps, "a costly step": costly_step, "shared factor": shared_factor,
}  # fmt: skip


def gradients(neuron, block, **options):
    cotangents = tuple(sympy.Symbol(f"c{k}", real=True) for k in range(len(block.features)))
    return cotangents, gradient_statements(neuron, block, cotangents, **options)


def outputs_at(code, values):
    """The outputs at the given values of weights, coordinates and cotangents."""
    values, algebra = dict(values), ArrayAlgebra(np)
    for symbol, e in (*code.neuron, *code.sample, *code.mixed):
        values[symbol] = evaluate(e, values, algebra)
    return np.array([float(evaluate(e, values, algebra)) for e in code.outputs])


@pytest.mark.parametrize("kind", EVERY)
def test_a_gradient_with_its_factors_spread_is_the_same_gradient(kind):
    neuron, rng = canonical(EVERY[kind]()), np.random.default_rng(7)
    for block in neuron.blocks:
        cotangents, plain = gradients(neuron, block)
        _, spread = gradients(neuron, block, spread=True)
        for _ in range(3):
            symbols = (*neuron.weights, *neuron.frozen, *neuron.coordinates, *cotangents)
            values = dict(zip(symbols, rng.standard_normal(len(symbols)), strict=True))
            one, other = outputs_at(plain, values), outputs_at(spread, values)
            assert np.abs(one - other).max() <= 1e-10 * max(np.abs(one).max(), 1)


@pytest.mark.parametrize("kind", EVERY)
def test_generated_code_names_nothing_that_it_has_not_defined(kind):
    neuron = EVERY[kind]()
    tree = ast.parse(kernel_source(neuron, (7, 4, 3, 2)[: len(neuron.blocks)]).text)
    known = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
             for alias in node.names}  # fmt: skip
    known |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        defined = {node.id for node in names if isinstance(node.ctx, ast.Store)} | {a.arg for a in function.args.args}
        used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        assert not used - defined - known - set(dir(builtins))


def test_what_belongs_to_the_neuron_alone_is_not_paid_per_sample():
    neuron = canonical(KINDS["heat"]())
    block = neuron.blocks[0]
    _, code = gradients(neuron, block, spread=True)
    own = {*neuron.weights, *neuron.frozen, *(s for s, _ in code.neuron)}
    for e in code.outputs:
        for factor, rest in by_neuron(e, own).items():
            assert factor.free_symbols <= own
            assert not rest.free_symbols & own
    _, plain = gradients(neuron, block)
    assert sum(operations(e) for _, e in code.mixed) < sum(operations(e) for _, e in plain.mixed)


def test_a_factor_that_several_features_share_is_spread():
    neuron = canonical(shared_factor())
    (block,) = neuron.blocks
    _, code = gradients(neuron, block, spread=True)
    (slope,) = (e for s, e in code.mixed if s.name == "s_0")
    assert not slope.free_symbols & set(neuron.frozen)


def test_the_argument_of_a_step_is_computed_once():
    text = kernel_source(costly_step(), (1,)).text
    gradient = text[: text.index("if store:")]
    assert gradient.count("math.erf(") == 1


def test_terms_are_gathered_by_their_factor_of_the_neuron():
    w, f, x, y = sympy.symbols("w f x y")
    assert by_neuron(2 * w * x + 2 * w * y + f * x + y, {w, f}) == {2 * w: x + y, f: x, 1: y}
    assert by_neuron(sympy.S.Zero, {w, f}) == {}
