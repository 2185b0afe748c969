"""Sentences that are typed in ASCII and shown as people write them."""

import pytest

from ntkverify.report.sentences import marked, plain


@pytest.mark.parametrize(
    ("typed", "in_unicode", "in_html"),
    [
        ("lambda_0 <= sqrt(n)", "λ₀ ≤ √n", "λ<sub>0</sub> ≤ √n"),
        ("||H(0) - H^inf||_F", "‖H(0) - H^∞‖_F".replace("^∞", "∞"), "‖H(0) - H<sup>∞</sup>‖<sub>F</sub>"),
        ("m^(-1/2) and h^(-2p)", "m^(-1/2) and h⁻²ᵖ", "m<sup>−1/2</sup> and h<sup>−2p</sup>"),
        ("lambda_min(H(k)) a < b & c", "λₘᵢₙ(H(k)) a < b & c", "λ<sub>min</sub>(H(k)) a &lt; b &amp; c"),
        ("rounding_floor, drift_factor", "rounding_floor, drift_factor", "rounding_floor, drift_factor"),
        ("metadata of Theta and theta", "metadata of Θ and θ", "metadata of Θ and θ"),
        ("E_>/2, E_</2, (x)_+", "E_>/2, E_</2, (x)_+", "E<sub>&gt;</sub>/2, E<sub>&lt;</sub>/2, (x)<sub>+</sub>"),
        ("sum_(k <= n) a", "sum_(k ≤ n) a", "sum<sub>k ≤ n</sub> a"),
    ],
)
def test_in_unicode_and_in_html(typed, in_unicode, in_html):
    assert plain(typed) == in_unicode
    assert marked(typed) == in_html


def test_nothing_of_a_sentence_becomes_markup():
    assert "<script>" not in marked("<script>alert(1)</script>")
