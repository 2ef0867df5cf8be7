"""Read damaged documents through real workers, as the server does, and look for what should not be.

    python -m benchmarks.fuzz --seconds 600 [--seed N] [--keep FOLDER] [--only SUFFIX,…] [--made]

Real files (../shared/data/docs) and made ones are mutated: flipped bits, cuts, splices, repeated blocks, changed
lengths, wrong suffixes, and the members of zip archives in all of these ways. What goes wrong, or had to be stopped, is
kept in a folder with what it did. Exit code 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.mutations import Sample, mutated
from benchmarks.verdicts import CHUNK_LIMIT_S, outcome_of
from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers
from ragline.pipelines.read import read_document
from ragline.pipelines.reading import Options
from tests.parsing.samples import samples

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "docs" / "files"
MAX_BYTES = 2 << 20
"""Larger files are not mutated: one would take the time of a hundred."""
GRACE_S = 8.0
"""What an ending may take beyond the limit, on a machine that does other things, too."""
STOPPED = ("too long", "crashed")
"""Endings that harm nobody else, and are worth a look."""
MAX_GROWTH_BYTES = 400 << 20
LIMITS = Parsing(
    workers=2,
    memory_mb=1024,
    time_limit_s=20,
    cpu_limit_s=40,
    max_text_chars=5_000_000,
    max_unpacked_mb=128,
    max_disk_mb=256,
)


@dataclass
class Tally:
    """What became of the files of one format, the longest that one took, and which."""

    outcomes: Counter[str] = field(default_factory=Counter)
    worst_s: float = 0.0
    worst: str = ""


@dataclass
class Fuzz:
    """A run. `found`: what should not be, by case."""

    samples: Sequence[Sample]
    seed: int
    folder: Path
    keep: Path
    found: dict[str, str] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))

    async def run(self, seconds: float, most: int) -> int:
        """Read mutants until the time is over, or so many; return how many."""
        workers = Workers(LIMITS, home=self.folder / "data")
        numbers = iter(range(most))
        end = time.monotonic() + seconds
        done = 0

        async def work() -> None:
            nonlocal done
            for number in numbers:
                if time.monotonic() > end:
                    return
                await self.case(workers, number)
                done += 1

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(LIMITS.workers):
                    group.create_task(work())
            await self.good(workers)
        finally:
            await workers.close()
        return done

    async def case(self, workers: Workers, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}")
        sample = chance.choice(self.samples)
        content, suffix, how = mutated(sample, self.samples, chance)
        case = f"{self.seed}-{number}-{re.sub(r'[^A-Za-z0-9.]', '_', sample.name)[:40]}.{suffix}"
        path = self.folder / case
        path.write_bytes(content)
        started = time.monotonic()
        outcome, wrong = await outcome_of(workers, LIMITS, path)
        took = time.monotonic() - started
        if took > LIMITS.time_limit_s + GRACE_S + CHUNK_LIMIT_S:
            wrong += f" it took {took:.1f} s"
        tally = self.tallies[sample.suffix]
        tally.outcomes[outcome] += 1
        if took > tally.worst_s:
            tally.worst_s, tally.worst = took, f"{case} ({how})"
        if wrong:
            self.found[case] = f"{how}: {wrong}"
        if wrong or outcome in STOPPED:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / case).write_bytes(content)
            (self.keep / f"{case}.why").write_text(f"{how}\n{outcome}\n{wrong}\n")
            print(f"{case}: {how}: {(wrong.strip() or outcome).splitlines()[-1][:300]}", flush=True)
        path.unlink()

    async def good(self, workers: Workers) -> None:
        """After all that, a good file is read by the same workers."""
        path = self.folder / "bon.md"
        path.write_text("# Titre\n\nLe café crème.\n")
        parsed = await read_document(workers, LIMITS, path, path.name, "text/markdown", options=Options.of(LIMITS))
        if "Le café crème." not in [element.text for element in parsed.elements]:
            self.found["bon.md"] = "a good file is not read any more"


def collected(only: Sequence[str], *, real_too: bool) -> list[Sample]:
    made = [Sample(f"made.{suffix}", suffix, content) for suffix, content in samples().items()]
    real = sorted(REAL.iterdir()) if real_too and REAL.is_dir() else []
    files = [
        Sample(file.name, file.suffix[1:].lower(), file.read_bytes())
        for file in real
        if file.stat().st_size < MAX_BYTES
    ]
    return [sample for sample in (*made, *files) if not only or sample.suffix in only]


def table(tallies: Mapping[str, Tally]) -> Iterator[str]:
    columns = ("read", "refused", "damaged", "unsupported", "limit", "too long", "crashed", "FAULT")
    yield f"{'format':9}" + "".join(f"{name:>12}" for name in columns) + "   worst s"
    for suffix, tally in sorted(tallies.items()):
        counts = "".join(f"{tally.outcomes[name]:12}" for name in columns)
        yield f"{suffix:9}{counts}{tally.worst_s:10.1f}  {tally.worst}"
    total = sum((tally.outcomes for tally in tallies.values()), Counter[str]())
    yield f"{'all':9}" + "".join(f"{total[name]:12}" for name in columns)


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--most", type=int, default=10**9, help="at most so many files")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    options.add_argument("--only", type=lambda text: text.split(","), default=[])
    options.add_argument("--made", action="store_true", help="leave the real files out")
    given = options.parse_args(arguments)
    logging.disable(logging.WARNING)
    me = psutil.Process()
    before, children = me.memory_info().rss, len(me.children(recursive=True))
    with tempfile.TemporaryDirectory(prefix="ragline-fuzz-") as folder:
        fuzz = Fuzz(collected(given.only, real_too=not given.made), given.seed, Path(folder), given.keep)
        try:
            done = asyncio.run(fuzz.run(given.seconds, given.most))
        finally:
            logging.disable(logging.NOTSET)
        left = [path.name for path in Path(folder).rglob("*") if path.is_file() and path.name != "bon.md"]
    grown = me.memory_info().rss - before
    if left or len(me.children(recursive=True)) != children:
        fuzz.found["leftovers"] = f"files {left[:5]}, processes {me.children(recursive=True)}"
    if grown > MAX_GROWTH_BYTES:
        fuzz.found["memory"] = f"this process grew by {grown >> 20} MiB"
    print(*table(fuzz.tallies), sep="\n")
    for case, what in fuzz.found.items():
        print(f"WRONG {case}: {what}")
    print(f"{done} files, seed {given.seed}; this process grew by {grown >> 20} MiB; wrong: {len(fuzz.found)}")
    return 1 if fuzz.found else 0


if __name__ == "__main__":
    sys.exit(main())
