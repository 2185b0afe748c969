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
HERE = re.compile(r"^(memory|time) |^ *(on 'cpu' here|neurons on)|^(platform|rootdir|plugins|cachedir|configfile)")
SECONDS = re.compile(r" in [\d.:]+s.*")
#: figures of verdicts that rounding or processors may move, and names that are made of them
FIGURES = re.compile(r"-[0-9a-f]{10}(?=\.json)|[-\d.e+]+")
#: figures that count claims, which nothing moves
COUNTS = re.compile(r"^(\d+ holds|collected \d+|= \d+ passed)")
#: a Python block that begins with a name is a file of that name
FILE = re.compile(r"# (\w+\.py)\n")


def agree(shown, printed, *, figures):
    """Whether the lines of a page are those printed, one after the other; '...' stands for any number of them."""
    lines = [line for line in printed if line.strip() and not HERE.search(line)]
    at, skipping = 0, False
    for line in shown:
        if line.strip() == "...":
            skipping = True
        elif line.strip() and not HERE.search(line):
            wanted = figures(line)
            ahead = lines[at:] if skipping else lines[at : at + 1]
            found = [at + i for i, other in enumerate(ahead) if figures(other) == wanted]
            assert found, f"the page shows {line!r}, but there stands {ahead[:1]}"
            at, skipping = found[0] + 1, False
    assert skipping or at == len(lines), f"the page leaves out {lines[at:]}"


def plain(line):
    return re.sub("  +", " ", line).rstrip()


def without_figures(line):
    line = re.sub("==+", "=", SECONDS.sub("", plain(line)))
    return line if COUNTS.search(line) else FIGURES.sub("#", line)


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
        if lines:  # of some commands a page does not show what comes
            agree(lines, printed, figures=without_figures)


def examples(page):
    """The blocks of a page, to be evaluated one after the other in one namespace."""
    evaluators = {"python": _python, "text": _text, "console": _console}
    parsers = [CodeBlockParser(language, evaluator) for language, evaluator in evaluators.items()]
    return Document.parse(str(page), *parsers).examples()
