"""The command ``ntkverify``; see `ntkverify.commands`."""

from __future__ import annotations

import _thread
import codecs
import contextlib
import errno
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ntkverify.commands.group import BAD_INPUT, CRASHED, INTERRUPTED, UNREAD, WELL, OnRecord, commands
from ntkverify.errors import NtkVerifyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    for name in ("stdout", "stderr"):
        _open_to_everything(name)
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
        _silence(output)
        return UNREAD
    except OSError as error:
        if error.errno not in _FULL:
            return _crashed(error, arguments)
        _silence(output)  # Python would try again at its end, and complain
        where = f" {error.filename}" if error.filename else " what is printed"
        _say(f"{error.strerror}:{where} can't be written whole; make room, or write elsewhere.")
        return BAD_INPUT
    except Exception as error:
        return _crashed(error, arguments)


#: a disk or a quota is used up, or the device fails
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _crashed(error: Exception, arguments: Sequence[str] | None) -> int:
    """Say where an error comes from: an author's line, or one of ours."""
    if line := _authors_line(error):
        _say(f"{line}: {type(error).__name__}: {error}")
        return BAD_INPUT
    if "--traceback" in (sys.argv[1:] if arguments is None else arguments):
        traceback.print_exception(error)
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
    """One line on the error stream; nothing where nobody listens."""
    with contextlib.suppress(OSError):
        print(f"ntkverify: {' '.join(sentence.split())}", file=sys.stderr, flush=True)


def _open_to_everything(name: str) -> None:
    """Print what a terminal's encoding lacks as escapes, and nothing into a stream that the shell has closed."""
    stream = getattr(sys, name)
    if stream is None:
        setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as we run
    elif getattr(stream, "errors", None) in ("strict", "surrogateescape"):  # the latter in the locale C
        codecs.register_error("ntkverify", _escaped)
        stream.reconfigure(errors="ntkverify")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    # one column for what a table has cut short, so that it stays a table
    return "".join("~" if c == "…" else c.encode("ascii", "backslashreplace").decode() for c in text), error.end


def _silence(stream: Any) -> None:
    """Let a stream that takes nothing more write to nowhere."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
