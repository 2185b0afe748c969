"""Weighted chi-squares against scipy's special cases, a sample, and mistakes."""

import numpy as np
import pytest
from scipy import stats

from ntkverify import NtkVerifyError
from ntkverify.lemmas.nonlinear.chi_square import eigenvalues_of_form, weighted_chi_square

X = np.linspace(0, 20, 50)


def test_equal_weights_are_an_exponential_law():
    np.testing.assert_allclose(weighted_chi_square(2, 2)(X), stats.chi2(2).cdf(X / 2), atol=1e-14)


def test_a_small_weight_leaves_one_square():
    found = weighted_chi_square(3, 1e-4)(X[1:])
    np.testing.assert_allclose(found, stats.chi2(1).cdf(X[1:] / 3), atol=1e-3)


@pytest.mark.heavy
def test_a_form_in_a_normal_vector_has_it():
    rng = np.random.default_rng(0)
    form, covariance = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 0.5]])
    g = rng.multivariate_normal([0, 0], covariance, 100000)
    values = np.einsum("ni,ij,nj->n", g, form, g)
    weights = eigenvalues_of_form(form, covariance)
    assert weights.sum() == pytest.approx(np.trace(form @ covariance))
    assert stats.ks_1samp(values, weighted_chi_square(*weights)).pvalue > 1e-3


def test_negative_weights_are_refused():
    with pytest.raises(NtkVerifyError, match="must not be negative"):
        weighted_chi_square(-1, 2)
