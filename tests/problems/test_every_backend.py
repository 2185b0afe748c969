"""Every theorem's runs on every backend: small instances of one family of each, to the same outcomes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from simulated_cupy import use_device
from small_instances import FOLDER, small_instance

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.execution import backends
from ntkverify.judging.case import Case, Trial

FAMILIES = [
    ("gradient_descent_regression", "any width"),
    ("gradient_descent_pinn", "narrow"),
    ("gauss_newton_identity", "physics-informed network"),
    ("initial_gram_pinn", "any width"),
    ("jacobian_stability", "tanh"),
    ("natural_gradient_pinn", "tanh, heat"),
    ("natural_gradient_width", None),
    ("positive_definiteness", "merging samples, ReLU^3"),
    ("quadratic_convergence", "training"),
    ("quadratic_convergence", "sizes, tanh"),
    ("zhang_martens_grosse", "training"),
    ("residual_loss", "by differences"),
    ("sine_features", "sine"),
    ("residual_dynamics", "linear, u_xx"),
    ("lazy_sums", "moved"),
    ("lazy_sums", "widths, u u_x"),
    ("moving_kernel", "widths, u^2, six points"),
    ("residual_hessian", "u u_x"),
    ("damped_natural_gradient", "damped, u u_x"),
    ("linear_training", "Gauss-Newton"),
    ("coupled_regression", "two orthonormal inputs"),
    ("coupled_gradient_descent", "few pairs"),
    ("coupled_natural_gradient", "four samples, 1000 neurons, alpha = 100"),
    ("coupled_natural_regression", "64 neurons, alpha = 1"),
    ("damped_regression", "any network"),
    ("damped_regression", "one neuron, a target out of its reach"),
    ("data_angles", "a close pair"),
    ("data_angles", "three in a row"),
    ("learnt_function", "trained"),
    ("generalisation", "networks"),
    ("generalisation", "random labels, p = 1"),
    ("stochastic_gradient", "training"),
    ("both_layers", "training"),
    ("both_layers", "one neuron moves"),
    ("both_layers", "all neurons move"),
    ("heavy_ball", "random inputs, any width"),
    ("nesterov", "two or three inputs, any width"),
    ("nesterov", "the largest mode"),
    ("implicit_gradient", "tanh, any width"),
    ("implicit_gradient", "tanh, 512 neurons, eta = 100"),
    ("implicit_gradient", "few pairs"),
    ("implicit_gradient", "neurons in their worst directions"),
]


@pytest.fixture(scope="module")
def _device():
    with pytest.MonkeyPatch.context() as patch:
        use_device(patch)
        yield


def outcomes(theorem, family, instance, backend):
    run = family.run(instance, theorem, backend=backend)
    found = {}
    for claim in theorem.claims.values():
        if not claim.is_symbolic and family in list(theorem.families_of(claim)):
            with np.errstate(all="ignore"):
                try:
                    outcome = Trial(Case(theorem, claim, family), run).outcome
                except NtkVerifyError as error:  # what a run refuses it refuses everywhere
                    found[claim.name] = str(error)
                else:
                    found[claim.name] = (outcome.vacuous, outcome.failed)
    return found


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "family"), FAMILIES)
@pytest.mark.usefixtures("_device")
def test_outcomes_are_the_same_on_every_backend(name, family):
    family = family or next(iter(load_theorem(FOLDER / f"{name}.py").families))
    theorem, chosen, instance = small_instance(name, family, width=24)
    wanted = outcomes(theorem, chosen, instance, "array")
    assert wanted
    for backend in ("cpu", "gpu"):
        assert outcomes(theorem, chosen, instance, backend) == wanted, backend


class TestChoice:
    def test_a_missing_device_is_refused_in_one_sentence(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        with pytest.raises(NtkVerifyError, match=r"needs CuPy|found CuPy"):
            backends.chosen_backend("gpu")

    def test_the_environment_chooses_where_nobody_else_does(self, monkeypatch):
        monkeypatch.setitem(os.environ, "NTKVERIFY_BACKEND", "array")
        assert backends.chosen_backend() == "array"
        assert backends.chosen_backend("cpu") == "cpu"
        monkeypatch.setitem(os.environ, "NTKVERIFY_BACKEND", "abacus")
        with pytest.raises(NtkVerifyError, match="NTKVERIFY_BACKEND: there is no backend 'abacus'"):
            backends.chosen_backend()

    @pytest.mark.parametrize(("width", "device", "found"), [
        (10, True, "array"), (2**18, True, "cpu"), (2**24, True, "gpu"), (2**24, False, "cpu"),
    ])  # fmt: skip
    def test_auto_is_the_fastest_that_is_there(self, monkeypatch, width, device, found):
        monkeypatch.setattr(backends, "_device_at_hand", lambda: device)

        class Samples:
            total = 2

        assert backends.fastest_backend(Samples(), width) == found


@pytest.mark.heavy
def test_files_of_verdicts_from_two_backends_say_the_same(tmp_path):
    """A whole module; the slack of an identity is rounding over a bound of it, and each backend rounds its own way."""
    records = []
    for backend in ("array", "cpu"):
        file = tmp_path / f"{backend}.jsonl"
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", FOLDER / "zhang_martens_grosse.py",
            "--ntk-backend", backend, "--verdicts", file,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        records.append([json.loads(line) for line in file.read_text().splitlines()])
    for one, other in zip(*records, strict=True):
        assert (one["claim"], one["verdict"]) == (other["claim"], other["verdict"])
        if one["quantifier"] != "identity" and one["slack"] is not None:
            assert one["slack"] == pytest.approx(other["slack"], rel=1e-6), one["claim"]
