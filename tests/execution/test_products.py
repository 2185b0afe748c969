"""Symmetric products of panels."""

import numpy as np
import pytest

from ntkverify.execution.fused import products
from ntkverify.execution.fused.products import MOST_ROWS_IN_CACHE, sum_of_products
from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.tile_source import tile_source


def relative(found, wanted):
    return np.abs(np.tril(found) - np.tril(wanted)).max() / np.abs(wanted).max()


@pytest.mark.parametrize("columns", [2, 4], ids=["16 registers", "32 registers"])
def test_tiles_add_the_products_of_all_components(columns):
    panels = np.random.default_rng(columns).standard_normal((3, 12, 45))
    first, others = np.ones((12, 12)), np.zeros((12, 12))
    load_generated(tile_source(columns)).add(panels, first, others)
    assert relative(first, 1 + panels[0] @ panels[0].T) <= 1e-14
    assert relative(others, panels[1] @ panels[1].T + panels[2] @ panels[2].T) <= 1e-14


@pytest.mark.parametrize("rows", [1, 3, 64, MOST_ROWS_IN_CACHE, MOST_ROWS_IN_CACHE + 1])
@pytest.mark.parametrize("components", [1, 3])
def test_every_neuron_is_summed_once_on_any_number_of_threads(rows, components):
    m, strip = 2345, 100  # few samples: more panels than runs
    panels, seen = np.random.default_rng(rows).standard_normal((components, rows, m)), []

    def fill(out, start, stop):
        seen.append((start, stop))
        out[...] = panels[:, :, start:stop]

    found = [sum_of_products(fill, components, rows, m, strip=strip, threads=threads) for threads in (1, 3)]
    assert sorted(seen) == sorted(2 * [(a, min(a + strip, m)) for a in range(0, m, strip)])
    assert (np.array(found[0]) == np.array(found[1])).all()
    first, others = found[0]
    assert relative(first, panels[0] @ panels[0].T) <= 1e-13
    wanted = sum(p @ p.T for p in panels[1:]) if components > 1 else np.zeros((rows, rows))
    assert np.abs(np.tril(others) - np.tril(wanted)).max() <= 1e-13 * max(np.abs(wanted).max(), 1)


@pytest.mark.parametrize("rows", [MOST_ROWS_IN_CACHE + 1, 2 * MOST_ROWS_IN_CACHE + 3])
@pytest.mark.parametrize("components", [1, 3])
def test_many_samples_go_panel_by_panel(rows, components, monkeypatch):
    """Several panels of several blocks, the last of them narrower."""
    monkeypatch.setattr(products, "PANEL_ENTRIES", 200 * rows * components)
    m, panels, widths = 1001, np.random.default_rng(rows).standard_normal((components, rows, 1001)), set()

    def fill(out, start, stop):
        widths.add(stop - start)
        out[...] = panels[:, :, start:stop]

    found = [sum_of_products(fill, components, rows, m, strip=1000, threads=threads) for threads in (1, 3)]
    assert len(widths) == 2
    assert max(widths) < 250
    assert (np.array(found[0]) == np.array(found[1])).all()
    for got, wanted in zip(found[0], (panels[:1], panels[1:]), strict=True):
        total = sum((p @ p.T for p in wanted), np.zeros((rows, rows)))
        assert np.abs(np.tril(got) - np.tril(total)).max() <= 1e-13 * max(np.abs(total).max(), 1)
