"""Curves of claims along training, and how they are drawn."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from ntkverify.report.page.plots import power_of_ten, trajectory
from ntkverify.report.page.trajectories import Curves, curves_of
from ntkverify.theorem.loading import load_theorem

pytest.importorskip("matplotlib")
THEOREMS = Path(__file__).parents[3] / "theorems"


@pytest.fixture(scope="module")
def flow():
    return list(curves_of(load_theorem(THEOREMS / "neural_operator" / "gradient_flow.py"), draws=5))


def test_conclusions_that_depend_on_time_come_first(flow):
    assert flow[0].claim.startswith("1024 neurons, two orthonormal functions and queries: L(t) <= exp(-Lambda t) L(0)")
    assert (flow[0].along, flow[0].draws, flow[0].width) == ("time", 5, 1024)
    assert flow[0].measured.shape == flow[0].bound.shape == (5, flow[0].at.size)


def test_curves_are_of_one_data_set_and_keep_their_bounds(flow):
    for curves in flow:
        assert np.ptp(curves.measured[:, -1]) > 0  # other weights
        assert curves.closest > 1
    contracting = flow[0]
    # L(0) exp(-Lambda t) of each draw: one rate, since the data are one
    rates = np.log(contracting.bound[:, 1:] / contracting.bound[:, :-1]) / np.diff(contracting.at)
    assert np.nanmax(rates) - np.nanmin(rates) < 1e-9 * np.nanmax(abs(rates))  # given= leaves t = 0 out


def test_the_slack_where_they_come_closest():
    at = np.arange(3.0)
    curves = Curves("c", "f", "step", at, np.array([[1, 2, 4.0]]), np.array([[1, 8, 8.0]]), False, 4)
    assert curves.closest == 2  # at the start they are equal by construction


def test_a_theorem_without_training_has_none():
    assert not list(curves_of(load_theorem(THEOREMS / "differentiation" / "averaging.py")))


class TestDrawing:
    def test_it_is_well_formed_and_the_same_every_time(self, flow):
        text = trajectory(flow[0], salt="s")
        assert text == trajectory(flow[0], salt="s")
        root = ET.fromstring(text.replace("xlink:href", "href"))
        assert root.get("viewBox")
        assert not re.search(r"<style|<metadata|<script|font-family|http", text)
        # colours have names, so that they follow the page's theme
        assert set(re.findall(r"#[0-9a-f]{6}\b", text)) == set()
        assert {"ink", "muted", "rule", "good", "seen"} >= set(re.findall(r"var\(--(\w+)\)", text)) >= {"good", "seen"}

    def test_figures_share_no_identifier(self, flow):
        found = [set(re.findall(r' id="([^"]*)"', trajectory(curves, salt=str(i)))) for i, curves in enumerate(flow)]
        assert not found[0] & found[1]

    def test_what_falls_by_decades_is_seen_on_a_logarithmic_axis_and_zeros_have_no_place(self):
        at, fall = np.arange(5.0), 10.0 ** -np.arange(5.0)
        fall[-1] = 0
        curves = Curves("c", "f", "step", at, np.array([fall] * 3), np.ones((3, 5)), False, 4)
        assert "10⁻³" in trajectory(curves, salt="s")

    def test_powers_of_ten(self):
        assert [power_of_ten(10.0**k) for k in (-5, -2, 0, 3, 12)] == ["10⁻⁵", "0.01", "1", "1000", "10¹²"]
