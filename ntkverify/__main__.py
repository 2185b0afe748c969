"""``python -m ntkverify``."""

from ntkverify.cli import run

if __name__ == "__main__":
    run()
