"""The command ``ntkverify``; see `ntkverify.commands`."""

from __future__ import annotations

import _thread
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from ntkverify.commands.group import BAD_INPUT, CRASHED, INTERRUPTED, UNREAD, WELL, OnRecord, commands
from ntkverify.errors import NtkVerifyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    output = sys.stdout
    try:
        status = commands.main(args=None if arguments is None else list(arguments), prog_name="ntkverify",
                               standalone_mode=False)  # fmt: skip
        sys.stdout.flush()
        return int(status or WELL)
    except NtkVerifyError as error:
        _say(str(error))
        return BAD_INPUT
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return BAD_INPUT
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "ntkverify"
        message = error.format_message().rstrip(".?")
        _say(f"{message}{'?' if 'Did you mean' in message else '.'} See `{where} --help`.")
        return BAD_INPUT
    except (KeyboardInterrupt, click.Abort) as error:
        kept = isinstance(error, OnRecord)
        _say(
            "interrupted; what was on record stays, and the same command goes on from there."
            if kept
            else "interrupted."
        )
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:  # `| head` has seen enough
        if isinstance(error, SystemExit) and sys.stdout is output:  # click replaces it, and exits as with a violation
            raise
        sys.stdout = output
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        return UNREAD
    except Exception as error:
        if line := _authors_line(error):
            _say(f"{line}: {type(error).__name__}: {error}")
            return BAD_INPUT
        if "--traceback" in (sys.argv[1:] if arguments is None else arguments):
            traceback.print_exc()
        _say(f"an error of ntkverify's own, {type(error).__name__} in {_place(error)}: {error}; "
             "`ntkverify --traceback ...` shows more, please report it.")  # fmt: skip
        return CRASHED


def _authors_line(error: BaseException) -> str:
    """The line of a theorem's module that an error came through."""
    if "ntkverify.theorem.loading" not in sys.modules:
        return ""
    from ntkverify.theorem.loading import authors_line

    return authors_line(error)


def _say(sentence: str) -> None:
    """One line on the error stream."""
    print(f"ntkverify: {' '.join(sentence.split())}", file=sys.stderr)


def _place(error: BaseException) -> str:
    """File and line of this package that an error came through last."""
    place, frame = "?", error.__traceback__
    while frame is not None:
        path = Path(frame.tb_frame.f_code.co_filename)
        if "ntkverify" in path.parts:
            place = f"{path.name}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


def _unswallowed(unraisable: sys.UnraisableHookArgs) -> None:
    """Ctrl-C that came while Python was in a destructor or a callback, where it raises nothing, is tried again."""
    if unraisable.exc_type is KeyboardInterrupt:
        threading.Timer(0.05, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


def run() -> None:
    """The console script."""
    sys.unraisablehook = _unswallowed
    sys.exit(main())


if __name__ == "__main__":
    run()
