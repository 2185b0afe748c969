"""A gradient step of a shallow neural operator against JAX, side by side.

JAX gets it three times: the network's definition G(u)(y), differentiated and mapped over functions and queries; branch
and trunk mapped on their own and multiplied, as codes for such operators do; and written by hand in products of
arrays, which is the fastest of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmark_problems import race

from ntkverify.execution.backends import executor_of
from ntkverify.execution.product_samples import product_samples
from ntkverify.symbolic.network.operators import coordinates, identity
from ntkverify.symbolic.network.product import product_neuron

#: n_1, n_2, m, p, sensors, d
SIZES = (16, 32, 4096, 16, 8, 2)
ETA = 1e-6


def operator_case(sizes: tuple[int, ...], peaks: dict[str, float]) -> dict[str, Any]:
    """One step of gradient descent on both sets of weights."""
    n_1, n_2, m, p, q, d = sizes
    rng = np.random.default_rng(0)
    functions, queries, targets = (rng.standard_normal(shape) for shape in ((n_1, q), (n_2, d), (n_1, n_2)))
    w, v, signs = rng.standard_normal((m, d)), rng.standard_normal((m, p, q)), rng.choice([-1.0, 1.0], (m, p))
    points = coordinates(" ".join(f"y_{i}" for i in range(d)))
    product = product_neuron("relu", "relu", {"data": identity(points)}, sensors=q, branch_width=p)
    samples = product_samples(product, functions, {"data": queries}, {"data": targets})
    executor = executor_of(samples, backend="cpu")
    mine = np.concatenate([w, v.reshape(m, -1)], axis=1)
    state = [executor.forward(mine, signs)]

    def fused() -> None:
        state[0] = executor.step(mine, signs, state[0], ETA)

    contestants = {"ntkverify": fused}
    for form in ("definition mapped over pairs", "branch and trunk mapped", "by hand"):
        contestants[f"jax, {form}"] = jax_step(form, functions, queries, targets, (w, v), signs)
    times = race(contestants)
    own = times["ntkverify"]
    # the units' three products with the sensors, the trunk's with the coordinates, the tables of all pairs
    operations = 2 * m * (3 * n_1 * p * q + 3 * n_2 * d + 3 * n_1 * n_2)
    return {
        "case": f"operator step n1={n_1} n2={n_2} m={m} p={p} sensors={q} d={d}",
        "seconds": times,
        "ratio": {name: t / own for name, t in times.items() if name != "ntkverify"},
        "gflops": operations / own / 1e9,
        "share_of_fma_peak": operations / own / 1e9 / peaks["fma_gflops"],
        **peaks,
    }


def jax_step(form: str, functions: Any, queries: Any, targets: Any, weights: Any, signs: Any) -> Any:
    """A function that does one jitted step on donated weights and waits for it."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    u, y, z, s = (jnp.asarray(x) for x in (functions, queries, targets, signs))
    root, inner = 1 / np.sqrt(len(signs)), 1 / np.sqrt(signs.shape[1])

    def branch(v, u):
        return jnp.sum(s * jax.nn.relu(v @ u), axis=1) * inner

    def trunk(w, y):
        return jax.nn.relu(w @ y)

    def outputs(parameters):
        w, v = parameters
        if form == "definition mapped over pairs":

            def network(u, y):
                return jnp.sum(branch(v, u) * trunk(w, y)) * root

            return jax.vmap(lambda one: jax.vmap(lambda point: network(one, point))(y))(u)
        if form == "branch and trunk mapped":
            b = jax.vmap(lambda one: branch(v, one))(u)
            return b @ jax.vmap(lambda point: trunk(w, point))(y).T * root
        b = jnp.einsum("mk,mki->mi", s, jax.nn.relu(jnp.einsum("mkq,iq->mki", v, u))) * inner
        return b.T @ jax.nn.relu(w @ y.T) * root

    def loss(parameters):
        return 0.5 * jnp.sum((outputs(parameters) - z) ** 2)

    def step(parameters):
        return jax.tree.map(lambda x, g: x - ETA * g, parameters, jax.grad(loss)(parameters))

    compiled = jax.jit(step, donate_argnums=0)
    state = [tuple(jnp.asarray(x) for x in weights)]

    def run() -> None:
        state[0] = compiled(state[0])
        jax.block_until_ready(state[0])

    return run
