"""A neuron from every builder and every ready-made equation, with the activations that make sense for it."""

from __future__ import annotations

import sympy

from ntkverify.symbolic.network.activations import names
from ntkverify.symbolic.network.neuron import network_neuron, pinn_neuron, random_features_neuron
from ntkverify.symbolic.network.neuron import regression_neuron as regression
from ntkverify.symbolic.network.operators import (
    advection,
    biharmonic,
    burgers,
    coordinates,
    derivative,
    gradient,
    heat,
    helmholtz,
    identity,
    laplacian,
    navier_stokes,
    self_advection,
    squared_solution,
    wave,
)
from ntkverify.symbolic.network.product import operator_neuron

X, Y, T = coordinates("x y t")
EVERYTHING = ("inner", "inner_bias", "outer", "outer_bias")

EQUATIONS = {
    "identity": identity((X, Y)),
    "derivative": derivative((X, Y), 1, 2),
    "laplacian": laplacian((X, Y)),
    "biharmonic": biharmonic((X, Y)),
    "helmholtz": helmholtz((X, Y), wavenumber=sympy.pi),
    "heat": heat(T, (X, Y)),
    "heat, varying diffusivity": heat(T, (X,), diffusivity=1 + X**2),
    "advection": advection(T, (X, Y), velocity=(Y, -X)),
    "wave": wave(T, (X,), speed=2),
    "squared": squared_solution((X,)),
    "self-advection": self_advection(X),
    "Burgers": burgers(T, X, viscosity=sympy.Rational(1, 100) / sympy.pi),
    "inviscid Burgers": burgers(T, X),
}


def _navier_stokes(**options):
    return network_neuron(
        "tanh", navier_stokes((X, Y), reynolds=100, time=T), outputs=3, inner_bias=True, outer_bias=True, **options
    )


BUILT = {
    **{f"regression, {name}": lambda name=name: regression(name, dimension=3) for name in names()},
    "regression, all trained": lambda: regression(
        "gelu", dimension=2, trainable=EVERYTHING, inner_bias=True, outer_bias=True
    ),
    "regression, inner bias frozen": lambda: regression("erf", dimension=2, inner_bias=True),
    **{f"PINN, {name}, tanh": lambda e=e: pinn_neuron("tanh", e) for name, e in EQUATIONS.items()},
    **{
        # ReLU^k needs one more derivative than the operator's order
        f"PINN, {name}, ReLU power": lambda e=e: pinn_neuron(f"relu{e.order + 2}", e)
        for name, e in EQUATIONS.items()
    },
    **{
        f"PINN, heat, {name}": lambda name=name: pinn_neuron(name, EQUATIONS["heat"], trainable=("inner", "outer"))
        for name in ("relu3", "erf", "sin", "cos", "sigmoid", "softplus", "swish", "gelu")
    },
    "PINN, all trained": lambda: pinn_neuron("sin", EQUATIONS["wave"], trainable=EVERYTHING, outer_bias=True),
    "gradient": lambda: network_neuron("tanh", dict(zip(("u_x", "u_y"), gradient((X, Y)), strict=True))),
    "Navier-Stokes": lambda: _navier_stokes(trainable=EVERYTHING),
    "Navier-Stokes, steady": lambda: network_neuron("sin", navier_stokes((X, Y), reynolds=10), outputs=3),
    **{
        f"random features, {name}": lambda name=name, e=e: random_features_neuron(
            "tanh", {"interior": e, "boundary": identity(e.coordinates)}, inner_bias=True
        )
        for name, e in EQUATIONS.items()
        if name in ("identity", "biharmonic", "Burgers")
    },
    "random features, differences": lambda: random_features_neuron(
        "sin", {"interior": laplacian((X, Y))}, spacings={X: "1/16", Y: "1/8"}
    ),
    **{
        f"differences, {name}": lambda e=e, accuracy=accuracy: network_neuron(
            "tanh", {"interior": e}, spacings=dict.fromkeys(e.coordinates, "1/16"), accuracy=accuracy
        )
        for name, e, accuracy in (
            ("laplacian", EQUATIONS["laplacian"], 2),
            ("heat", EQUATIONS["heat"], 4),
            ("Burgers", EQUATIONS["Burgers"], 2),
        )
    },
    # the kink at 0 lies between the nodes of any likely point; elsewhere second differences of ReLU vanish
    "differences of ReLU": lambda: network_neuron("relu", {"interior": laplacian((X,))}, spacings={X: "4"}),
    "operator": lambda: operator_neuron("relu", "relu", {"data": identity((Y,))}, sensors=3),
    "operator, wide branch": lambda: operator_neuron(
        "tanh", "sin", {"interior": heat(T, (X,)), "boundary": identity((T, X))}, sensors=2, branch_width=3,
        inner_bias=True,
    ),
    "operator, nonlinear": lambda: operator_neuron("gelu", "tanh", {"interior": EQUATIONS["Burgers"]}, sensors=2),
}  # fmt: skip
