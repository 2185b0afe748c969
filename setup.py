"""What setup.cfg cannot say: the theorems, a folder of their own here, are installed below the package.

They are modules of mathematics that are read and checked by path; as a top-level package `theorems` they would stand in
the way of anybody's own folder of that name.
"""

from pathlib import Path

from setuptools import find_packages, setup

THEOREMS = Path("theorems")
papers = sorted(folder.name for folder in THEOREMS.iterdir() if any(folder.glob("*.py")))
setup(
    packages=[*find_packages(include=["ntkverify*"]), *(f"ntkverify.theorems.{paper}" for paper in papers)],
    package_dir={f"ntkverify.theorems.{paper}": f"theorems/{paper}" for paper in papers},
)
