"""The same gradient-descent steps written for JAX and PyTorch, as fast as their users would write them.

Every problem is given twice to JAX where it makes a difference: with the operator by automatic
differentiation, as PINN codes do it, and with the operator applied by hand to the (n, m) matrix of
preactivations, which is the faster of the two. PyTorch gets the second form.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _heat(xp: Any, relu: Any, w: Any, a: Any, x: Any, y: Any, root: float) -> tuple[Any, Any]:
    p = relu(x @ w.T)
    laplacian = (w[:, 1:-1] ** 2).sum(1)
    interior = (3 * w[:, 0] * p**2 - 6 * laplacian * p) @ a * root
    return interior, relu(y @ w.T) ** 3 @ a * root


def _poisson(xp: Any, relu: Any, w: Any, a: Any, x: Any, y: Any, root: float) -> tuple[Any, Any]:
    t = xp.tanh(x @ w.T)
    interior = (2 * (w[:, :-1] ** 2).sum(1) * t * (1 - t**2)) @ a * root
    return interior, xp.tanh(y @ w.T) @ a * root


def _relu(xp: Any, relu: Any, w: Any, a: Any, x: Any, y: Any, root: float) -> tuple[Any, ...]:
    return (relu(x @ w.T) @ a * root,)


MATRIX_FORMS = {"heat": _heat, "poisson": _poisson, "relu": _relu}


def jax_step(kind: str, form: str, problem: dict[str, Any], weights: Any, a: Any, eta: float) -> Any:
    """A function that does one jitted step on donated weights and waits for it."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    residuals = jax_residuals(kind, form, problem, a)

    @jax.jit
    def loss(w):
        return 0.5 * jnp.sum(residuals(w) ** 2)

    step = jax.jit(lambda w: w - eta * jax.grad(loss)(w), donate_argnums=0)
    state = [jnp.asarray(weights)]

    def run() -> None:
        state[0] = step(state[0])
        state[0].block_until_ready()

    return run


def jax_residuals(kind: str, form: str, problem: dict[str, Any], a: Any) -> Any:
    """Residuals of a problem as a JAX function of the weights."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    names = list(problem["points"])
    points = [jnp.asarray(problem["points"][n]) for n in names] + [None]
    targets = [jnp.asarray(problem["targets"][n]) for n in names]
    scales = [problem["scale"][n] for n in names]
    a, root = jnp.asarray(a), 1 / np.sqrt(len(a))

    def by_hand(w):
        parts = MATRIX_FORMS[kind](jnp, jax.nn.relu, w, a, points[0], points[1], root)
        return jnp.concatenate([s * (p - y) for s, p, y in zip(scales, parts, targets, strict=True)])

    def by_differentiation(w):
        if kind == "heat":

            def u(x):
                return jnp.sum(a * jax.nn.relu(w @ x) ** 3) * root

            def operator(x):
                space = range(1, x.shape[0] - 1)
                return jax.grad(u)(x)[0] - sum(jax.grad(lambda z, k=k: jax.grad(u)(z)[k])(x)[k] for k in space)
        else:

            def u(x):
                return jnp.sum(a * jnp.tanh(w @ x)) * root

            def operator(x):
                space = range(x.shape[0] - 1)
                return -sum(jax.grad(lambda z, k=k: jax.grad(u)(z)[k])(x)[k] for k in space)

        parts = jax.vmap(operator)(points[0]), jax.vmap(u)(points[1])
        return jnp.concatenate([s * (p - y) for s, p, y in zip(scales, parts, targets, strict=True)])

    return by_hand if form == "by hand" else by_differentiation


def torch_step(kind: str, problem: dict[str, Any], weights: Any, a: Any, eta: float) -> Any:
    """A function that does one eager step."""
    import torch

    names = list(problem["points"])
    points = [torch.from_numpy(problem["points"][n]) for n in names] + [None]
    targets = [torch.from_numpy(problem["targets"][n]) for n in names]
    scales = [problem["scale"][n] for n in names]
    outer, root = torch.from_numpy(a), 1 / np.sqrt(len(a))
    w = torch.from_numpy(weights.copy()).requires_grad_(True)

    def run() -> None:
        parts = MATRIX_FORMS[kind](torch, torch.relu, w, outer, points[0], points[1], root)
        loss = sum((s * s / 2) * ((p - y) ** 2).sum() for s, p, y in zip(scales, parts, targets, strict=True))
        (gradient,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w.sub_(eta * gradient)

    return run


def jax_gram(kind: str, form: str, problem: dict[str, Any], weights: Any, a: Any) -> Any:
    """A function that contracts the jitted Jacobian with itself."""
    import jax
    import jax.numpy as jnp

    residuals = jax_residuals(kind, form, problem, a)

    @jax.jit
    def gram(w):
        jacobian = jax.jacrev(residuals)(w).reshape(-1, w.size)
        return jacobian @ jacobian.T

    w = jnp.asarray(weights)
    return lambda: gram(w).block_until_ready()
