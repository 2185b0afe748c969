"""docs/commands.md names every command and every exit status; what other pages type can be typed."""

import re
import shlex
from pathlib import Path

import click
import pytest

from ntkverify.commands import group

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_page_names_every_command_and_every_status():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(group.COMMANDS) <= named
    statuses = {int(row) for row in rows if row.isdigit()}
    assert statuses == {group.WELL, group.FOUND, group.BAD_INPUT, group.CRASHED, group.INTERRUPTED, group.UNREAD}


def typed():
    """What stands in a block of code after `ntkverify`, on any page."""
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := re.match(r" {4,}(?:\$ )?(?:\S*/)?ntkverify ([a-z]+ .*)", line):
                yield page.name, match[1]


@pytest.mark.parametrize(("page", "line"), [pytest.param(*found, id=found[1][:50]) for found in typed()])
def test_what_a_page_types_can_be_typed(page, line):
    words = shlex.split(line.partition("  or  ")[0].partition(" #")[0])
    command = group.commands.get_command(click.Context(group.commands), words[0])
    assert command is not None, line
    command.make_context(words[0], words[1:], resilient_parsing=True)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in words[1:] if word.startswith("--")} <= known


def test_no_page_names_a_script_that_is_gone():
    for page in PAGES:
        for script in re.findall(r"scripts/(\w+\.py)", page.read_text(encoding="utf-8")):
            assert (ROOT / "scripts" / script).exists(), f"{page.name}: {script}"
