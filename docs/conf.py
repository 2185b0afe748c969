"""Settings of the pages: `python -m sphinx -W -b html docs docs/_build/html`."""

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "scripts")]

import reference_pages  # noqa: E402
import theorem_pages  # noqa: E402

import ntkverify  # noqa: E402

project = "ntkverify"
author = "The ntkverify maintainers"
copyright = author
version = release = ntkverify.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = f"ntkverify {release}"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_show_copyright = False
html_show_sourcelink = False
# pages that stand alone have nothing to list beside them
html_sidebars = {page: [] for page in ("index", "concepts", "trust", "search", "genindex")}
html_theme_options = {"navbar_align": "left", "show_toc_level": 2, "header_links_before_dropdown": 6}
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say what is taken; signatures stay readable
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "py:obj"  # a word in backticks is a link where it is a name
suppress_warnings = ["ref.python"]  # and where two have that name, to one of them


def _inline(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _displayed(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def _plain(app: Sphinx, what: str, *rest: Any) -> None:
    reference_pages.as_text(what, rest[-1])


def setup(app: Sphinx) -> None:
    """Formulas are MathML, which browsers set themselves: a page asks no other server for anything."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_displayed, None))
    # before napoleon, which makes fields of the sections
    app.connect("autodoc-process-docstring", _plain, priority=400)
    theorem_pages.gallery(HERE / "gallery")
    reference_pages.write(HERE / "api")
