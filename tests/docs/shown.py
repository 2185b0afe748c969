"""What a page shows is compared with what is printed: commands are run, and so is Python, block after block."""

import contextlib
import glob
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

from sybil import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser

from ntkverify.cli import main

ROOT = Path(__file__).parents[2]
#: lines that depend on the machine
HERE = re.compile(r"^(memory|time) |^ *(on 'cpu' here|neurons on)| in [\d.:]+s|^(platform|rootdir|plugins|cachedir)")
#: figures of verdicts that rounding or processors may move, and names that are made of them
FIGURES = re.compile(r"-[0-9a-f]{10}(?=\.json)|[-\d.e+]+")
#: a Python block that begins with a name is a file of that name
FILE = re.compile(r"# (\w+\.py)\n")


def agree(shown, printed, *, figures):
    """Whether the lines of a page are among those printed, in their order; '...' stands for any."""
    lines = iter(printed)
    for line in shown:
        if line.strip() in ("...", "") or HERE.search(line):
            continue
        wanted = figures(line)
        assert any(figures(other) == wanted for other in lines), f"{line!r} is not printed, or not in its place"


def plain(line):
    return re.sub("  +", " ", line).rstrip()


def without_figures(line):
    return FIGURES.sub("#", plain(line))


def run(command):
    """Status and lines of a command; pytest has a process of its own."""
    words = [name for word in shlex.split(command) for name in sorted(glob.glob(word)) or [word]]
    if words[0] == "pytest":
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
        return done.returncode, [line.rstrip() for line in done.stdout.splitlines()]
    assert words[0] == "ntkverify"
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = main(words[1:])
    return status, [line.rstrip() for line in output.getvalue().splitlines()]


def _python(example):
    """Run a block, or write the file that it is; what it prints is kept for the block of text that may follow."""
    if match := FILE.match(example.parsed):
        Path(match[1]).write_text(example.parsed.removeprefix(match[0]), encoding="utf-8")
        return
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        PythonEvaluator()(example)
    example.namespace["_printed"] = output.getvalue().splitlines()


def _text(example):
    """What the page shows below a block of Python is what that block printed."""
    agree(example.parsed.splitlines(), example.namespace["_printed"], figures=plain)


def _console(example):
    """Commands, each with what it prints."""
    for part in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
        command, *lines = part.rstrip().splitlines()
        _, printed = run(command)
        example.namespace["_printed"] = printed
        agree(lines, printed, figures=without_figures)


def examples(page):
    """The blocks of a page, to be evaluated one after the other in one namespace."""
    evaluators = {"python": _python, "text": _text, "console": _console}
    parsers = [CodeBlockParser(language, evaluator) for language, evaluator in evaluators.items()]
    return Document.parse(str(page), *parsers).examples()
