"""The same gradient-descent steps written for JAX and PyTorch, as fast as their users would write them.

Every problem is given to JAX three times where it makes a difference: with the operator by automatic
differentiation, in reverse mode twice as PINN codes do it or in forward mode twice, and with the operator applied by
hand to the (n, m) matrix of preactivations, which is the fastest of them. PyTorch gets the last form.
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


def jax_outputs(kind: str, form: str, problem: dict[str, Any], a: Any) -> list[Any]:
    """Per block a JAX function of the weights and one point: its residual but for the target."""
    import jax.numpy as jnp

    blocks = list(problem["points"])

    def output(w, x, block):
        here = {name: x[None] if name == block else jnp.zeros((1, x.size)) for name in blocks}
        alone = {"points": here, "targets": dict.fromkeys(blocks, np.zeros(1)), "scale": problem["scale"]}
        return jax_residuals(kind, form, alone, a)(w)[blocks.index(block)]

    return [lambda w, x, block=block: output(w, x, block) for block in blocks]


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

    def along(f, k):
        """Derivative of `f` along coordinate `k`, a function of the point again."""
        if form == "by differentiation":
            return lambda x: jax.grad(f)(x)[k]
        return lambda x: jax.jvp(f, (x,), (jnp.zeros_like(x).at[k].set(1.0),))[1]

    def differentiated(w):
        def u(x):
            z = w @ x
            return jnp.sum(a * (jax.nn.relu(z) ** 3 if kind == "heat" else jnp.tanh(z))) * root

        def operator(x):
            space = range(1 if kind == "heat" else 0, x.shape[0] - 1)
            time = along(u, 0)(x) if kind == "heat" else 0.0
            return time - sum(along(along(u, k), k)(x) for k in space)

        parts = jax.vmap(operator)(points[0]), jax.vmap(u)(points[1])
        return jnp.concatenate([s * (p - y) for s, p, y in zip(scales, parts, targets, strict=True)])

    return by_hand if form == "by hand" else differentiated


def jax_forms(kind: str) -> list[str]:
    """The forms in which JAX gets the steps of a problem."""
    return ["by hand"] if kind == "relu" else ["by hand", "by differentiation", "by forward mode"]


def torch_step(kind: str, problem: dict[str, Any], weights: Any, a: Any, eta: float, device: str = "cpu") -> Any:
    """A function that does one eager step on a device and waits for it."""
    import torch

    names = list(problem["points"])
    points = [torch.from_numpy(problem["points"][n]).to(device) for n in names] + [None]
    targets = [torch.from_numpy(problem["targets"][n]).to(device) for n in names]
    scales = [problem["scale"][n] for n in names]
    outer, root = torch.from_numpy(a).to(device), 1 / np.sqrt(len(a))
    w = torch.from_numpy(weights.copy()).to(device).requires_grad_(True)

    def run() -> None:
        parts = MATRIX_FORMS[kind](torch, torch.relu, w, outer, points[0], points[1], root)
        loss = sum((s * s / 2) * ((p - y) ** 2).sum() for s, p, y in zip(scales, parts, targets, strict=True))
        (gradient,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w.sub_(eta * gradient)
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def jax_gram(kind: str, form: str, problem: dict[str, Any], weights: Any, a: Any, *, by_sample: bool) -> Any:
    """A function that contracts the jitted Jacobian with itself.

    The Jacobian is ``jax.jacobian`` of all residuals, which carries every sample's cotangent through every other
    sample, or with `by_sample` the gradients of single samples batched by ``vmap``, which is the faster of the two.
    """
    import jax
    import jax.numpy as jnp

    rows = [jax.vmap(jax.grad(f), (None, 0)) for f in jax_outputs(kind, form, problem, a)]
    points = [jnp.asarray(x) for x in problem["points"].values()]
    residuals = jax_residuals(kind, form, problem, a)

    @jax.jit
    def gram(w):
        if by_sample:
            jacobian = jnp.concatenate([f(w, x) for f, x in zip(rows, points, strict=True)]).reshape(-1, w.size)
        else:
            jacobian = jax.jacobian(residuals)(w).reshape(-1, w.size)
        return jacobian @ jacobian.T

    w = jnp.asarray(weights)
    return lambda: gram(w).block_until_ready()
