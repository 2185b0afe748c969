"""`docs/trust.md` ends with what the script writes."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from proof_table import PAGE, page  # noqa: E402


@pytest.mark.heavy
def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page()
