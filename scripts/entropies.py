"""The theorem check at many entropies, each with draws of its own; what is cut off goes on where it was.

    python scripts/entropies.py 0-39
    python scripts/entropies.py 0-9 theorems/beyond --jobs 1
    python scripts/entropies.py --show

A folder of theorems at one entropy is one run of pytest in a process of its own, and one line of the record (--out). A
line counts for the code that it was made with: what the package and the folder hold, committed or not; of tests and
documents nothing depends. The exit status is 0 where every run that was asked for has passed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entropies", nargs="?", default="0-9", type=numbers, help="7, 0-39 or 1,5,8-12")
    parser.add_argument("folders", nargs="*", help="files or folders of theorems; else every folder of theorems/")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--out", type=Path, default=Path("entropies.jsonl"), help="the record, one line a run")
    parser.add_argument("--show", action="store_true", help="only print what the record holds of this code")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    """The numbers of ``1,5,8-12``."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not match:
            raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 7, 0-39 or 1,5,8-12")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def modules_below(folder: str) -> list[Path]:
    """The Python files of a folder, or the file itself."""
    path = ROOT / folder
    if not path.exists():
        sys.exit(f"there is no {folder}; folders are given as they lie in the repository")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def code_of(folder: str) -> str:
    """A digest of all that a verdict of this folder depends on."""
    digest = hashlib.sha256()
    for path in sorted({*(ROOT / "ntkverify").rglob("*.py"), *modules_below(folder)}):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def records(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def run(folder: str, entropy: int, profile: str, code: str) -> dict[str, Any]:
    """One check, in a process of its own, with what its verdicts were."""
    with TemporaryDirectory() as scratch:
        verdicts = Path(scratch) / "verdicts.jsonl"
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", folder,
            "--ntk-profile", profile, "--ntk-entropy", str(entropy), "--verdicts", str(verdicts),
        ]  # fmt: skip
        began = time.perf_counter()
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        found = [json.loads(line) for line in verdicts.read_text().splitlines()] if verdicts.exists() else []
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if ended.returncode and not failed:
        failed = (ended.stdout + ended.stderr).splitlines()[-5:]
    return {
        "folder": folder, "entropy": entropy, "profile": profile, "code": code, "status": ended.returncode,
        "verdicts": dict(Counter(v["verdict"] for v in found)), "failed": failed,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def main() -> None:
    given = arguments()
    folders = given.folders or [
        f"theorems/{p.name}" for p in sorted((ROOT / "theorems").iterdir()) if any(p.glob("*.py"))
    ]
    codes = {folder: code_of(folder) for folder in folders}
    wanted = [(folder, entropy) for entropy in given.entropies for folder in folders]
    done = {
        (one["folder"], one["entropy"]): one
        for one in records(given.out)
        if one["code"] == codes.get(one["folder"]) and one["profile"] == given.profile
    }
    missing = [] if given.show else [pair for pair in wanted if pair not in done]
    with ThreadPoolExecutor(given.jobs) as pool, given.out.open("a", encoding="utf-8") as record:
        for one in pool.map(lambda pair: run(*pair, given.profile, codes[pair[0]]), missing):
            done[one["folder"], one["entropy"]] = one
            record.write(json.dumps(one) + "\n")
            record.flush()
            print(f"{one['folder']} at {one['entropy']}: {said(one)}, {one['seconds']:.0f} s", flush=True)
    for folder in folders:
        own = [done[pair] for pair in wanted if pair[0] == folder and pair in done]
        bad = [str(one["entropy"]) for one in own if one["status"]]
        print(
            f"{folder}: {len(own)} of {len(given.entropies)} entropies run"
            + (f", failed at {', '.join(bad)}" if bad else "")
        )
    sys.exit(any(pair not in done or done[pair]["status"] for pair in wanted))


def said(one: dict[str, Any]) -> str:
    """What a run came to, in words."""
    words = ", ".join(f"{count} {word}" for word, count in sorted(one["verdicts"].items())) or "no verdict"
    return words if not one["status"] else f"FAILED ({words})\n  " + "\n  ".join(one["failed"])


if __name__ == "__main__":
    main()
