"""Twenty false theorems beside their true twins: which words does the check have for them?

    python scripts/false_twins.py --entropy 0 --markdown docs/results/false_twins.md
    python scripts/false_twins.py --search 0 1 2 3 4 --markdown docs/results/false_twins.md --record searches.json

Each pair is one statement with a mistake that papers make, and without it. A false one may be inconclusive, and may
hold where a verdict rests on instances in float64; a true one must not be violated. With --search it is said what
`ntkverify search` finds of them in a quarter of its default budget, seconds of processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from false_twin_pairs import Pair, pairs
from tqdm import tqdm

from ntkverify import Theorem
from ntkverify.judging.verdict import Verdict
from ntkverify.report.campaign import summarise
from ntkverify.search.campaign.campaign import search_cell
from ntkverify.search.campaign.cells import cells_of
from ntkverify.search.campaign.store import Store

# ---- the table ------------------------------------------------------------------------------------------------------


def row(pair: Pair, false: Verdict, true: Verdict) -> str:
    """One line of the table."""
    cells = (pair.mistake, pair.name, false.status, true.status, false.level, false.missed or "-", true.missed or "-")
    return "| " + " | ".join(cells) + " |"


def table(entropy: int) -> tuple[list[str], Counter[str]]:
    """Lines of the table, and how often each word was said of false and of true ones."""
    lines = [
        "| mistake | of what | false | true | rests on | the false one would have missed | the true one |",
        "|---|---|---|---|---|---|---|",
    ]
    words: Counter[str] = Counter()
    for pair in tqdm(list(pairs()), unit="pair", leave=False):
        false, true = pair.verdicts(entropy)
        lines.append(row(pair, false, true))
        words[f"false: {false.status}"] += 1
        words[f"true: {true.status}"] += 1
    return lines, words


# ---- what a search finds --------------------------------------------------------------------------------------------


#: budget of each claim: a quarter of what a search has by default, and seconds for each of these
EVALUATIONS = 500


@dataclass(frozen=True)
class Searched:
    """What `ntkverify search` says of one claim: its word, whether it ends with status 1, its seconds."""

    word: str
    found: bool
    seconds: float


def searched(theorem: Theorem, entropy: int) -> Searched:
    """Search one claim, in memory."""
    began, path = time.process_time(), __file__
    with Store(None) as store:
        cells = cells_of(theorem, path=path, entropy=entropy, evaluations=EVALUATIONS)
        for cell in cells:
            search_cell(theorem, cell, store, path=path)
        summary = summarise(store, cells)
    return Searched(summary.rows[0]["verdict"], summary.found, round(time.process_time() - began, 1))


def search_table(entropies: list[int], record: Path | None) -> str:
    """Which of the pairs a search tells apart; what is in the record is not searched again."""
    known = json.loads(record.read_text(encoding="utf-8")) if record and record.exists() else {}
    for entropy in entropies:
        for pair in tqdm(list(pairs()), unit="pair", desc=f"entropy {entropy}", leave=False):
            for side, options in (("false", pair.false), ("true", pair.true)):
                key = f"{entropy}|{pair.mistake}|{pair.name}|{side}"
                if key not in known:
                    known[key] = asdict(searched(pair.theorem(options), entropy))
                    if record:
                        record.write_text(json.dumps(known, indent=1), encoding="utf-8")

    def results(pair: Pair, side: str) -> list[Searched]:
        return [Searched(**known[f"{entropy}|{pair.mistake}|{pair.name}|{side}"]) for entropy in entropies]

    lines = [
        "| mistake | of what | false one found | words | true one found | seconds at most |",
        "|---|---|---|---|---|---|",
    ]
    for pair in pairs():
        false, true = results(pair, "false"), results(pair, "true")
        words = ", ".join(f"{word} {count}" for word, count in Counter(one.word for one in false).items())
        counts = [f"{sum(one.found for one in side)} of {len(side)}" for side in (false, true)]
        slowest = max(one.seconds for one in (*false, *true))
        lines.append(f"| {pair.mistake} | {pair.name} | {counts[0]} | {words} | {counts[1]} | {slowest:.0f} |")
    totals = []
    for index, entropy in enumerate(entropies):
        false, true = (sum(results(pair, side)[index].found for pair in pairs()) for side in ("false", "true"))
        totals.append(f"entropy {entropy}: {false} of 20 false ones, {true} of 20 true ones")
    names = " ".join(map(str, entropies))
    return "\n".join(
        [
            SEARCHED,
            "",
            f"`python scripts/false_twins.py --search {names}`: `ntkverify search` with `--evaluations {EVALUATIONS}`.",
            "A claim is found where the search would end with status 1; seconds are of processor time.",
            "",
            *lines,
            "",
            f"{'; '.join(totals)}.",
        ]
    )


#: the heading that the second table of the document begins with
SEARCHED = "# What a search says of them"


def check_table(entropy: int) -> str:
    """What the check says of the pairs."""
    lines, words = table(entropy)
    summary = ", ".join(f"{word} {count}" for word, count in sorted(words.items()))
    return "\n".join(
        [
            "# Twenty false theorems and their true twins",
            "",
            f"`python scripts/false_twins.py --entropy {entropy}`, quick profile.",
            "",
            *lines,
            "",
            f"{summary}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entropy", type=int, default=0, help="other draws")
    parser.add_argument(
        "--search", type=int, nargs="+", metavar="ENTROPY", help="what a search finds, instead of the check"
    )
    parser.add_argument("--record", metavar="FILE", type=Path, help="keep what was searched, to go on later")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="also write the table to its place in FILE")
    options = parser.parse_args()
    text = search_table(options.search, options.record) if options.search else check_table(options.entropy)
    print(text)
    if options.markdown:
        before = options.markdown.read_text(encoding="utf-8") if options.markdown.exists() else ""
        first, _, second = before.partition(SEARCHED)
        parts = [first, text] if options.search else [text, f"{SEARCHED}{second}" if second else ""]
        options.markdown.write_text("\n\n".join(p.strip() for p in parts if p.strip()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
