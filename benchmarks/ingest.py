"""Measure ingestion through a real server against the bare embedder on the same passages, in one run.

    python benchmarks/ingest.py [--files 2000] [--minilm FOLDER]

CPU seconds are of the server and its parsers; those of Prefect's own server are shown beside them. Machines are noisy:
quote the ratios. `--files N` also ingests N small files and shows memory after each quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from ragline.app import open_app
from ragline.config.environment import child_environment
from ragline.config.load import load_settings
from ragline.pipelines.chunking import embedded
from ragline.pipelines.parse import content_type_of, document_text, parse
from ragline.types import Element

VOCABULARY = """
pompe turbine rivière montagne marché école moteur cuivre roue signal jardin hiver été ville route pont lettre contrat
budget rapport conseil ingénieur water valve river engine copper wheel garden summer city road bridge letter contract
council engineer measures records repairs replaces inspects delivers accepts
"""
WORDS = VOCABULARY.split()
CONCURRENCY = 8


@dataclass
class Measured:
    """What one part cost: wall and CPU seconds of the server, of Prefect, passages stored."""

    name: str
    files: int
    passages: int
    wall_s: float
    cpu_s: float
    prefect_s: float
    bare_s: float = 0.0
    health_ms: list[float] = field(default_factory=list)


def text(size: int, seed: int) -> str:
    """Return a text of about `size` characters, always the same one."""
    dice = random.Random(seed)
    lines: list[str] = []
    length = 0
    while length < size:
        words = [dice.choice(WORDS) for _ in range(dice.randint(8, 18))] + [str(dice.randint(2, 99_999))]
        lines.append(" ".join(words).capitalize() + ".")
        length += len(lines[-1]) + 1
        if dice.random() < 0.2:
            lines[-1] += "\n\n"
    return " ".join(lines)[:size]


def pdf(pages: int, seed: int) -> bytes:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

    style = getSampleStyleSheet()
    parts: list[object] = []
    for page in range(pages):
        parts.append(Paragraph(f"Chapitre {page + 1}", style["Heading1"]))
        parts += [Paragraph(text(600, seed + page * 7 + n), style["BodyText"]) for n in range(4)]
        parts.append(PageBreak())
    target = io.BytesIO()
    SimpleDocTemplate(target).build(parts)
    return target.getvalue()


class Server:
    """A real `ragline serve` whose process tree is measured."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        chosen = {
            "RAGLINE_DATA_DIR": str(folder),
            "RAGLINE_SERVER__PORT": "3971",
            "RAGLINE_PREFECT__PORT": "4971",
            "RAGLINE_AUTH__BOOTSTRAP_KEY": "sk-bench",
            **environment,
        }
        log = folder / "bench.log"
        self._output = log.open("wb")
        self.process = psutil.Popen(
            [sys.executable, "-m", "ragline", "serve"],
            env=child_environment(chosen),
            stdout=self._output,
            stderr=self._output,
        )
        self.client = httpx.Client(
            base_url="http://127.0.0.1:3971", headers={"Authorization": "Bearer sk-bench"}, timeout=600, trust_env=False
        )
        for address in ("http://127.0.0.1:3971/health", "http://127.0.0.1:4971/api/health"):
            while True:
                try:
                    if httpx.get(address, timeout=2, trust_env=False).is_success:
                        break
                except httpx.TransportError:
                    if self.process.poll() is not None:
                        raise SystemExit(f"the server does not start:\n{log.read_text()}") from None
                    time.sleep(0.2)

    def cpu_s(self) -> tuple[float, float]:
        """Return CPU seconds so far (server and parsers, Prefect's server); ended children are in their parent."""
        ours, prefect = 0.0, 0.0
        for process in [self.process, *self.process.children(recursive=True)]:
            times = process.cpu_times()
            used = times.user + times.system
            if "prefect" in " ".join(process.cmdline()):
                prefect += used
            else:
                ours += used + times.children_user + times.children_system
        return ours, prefect

    def memory_mib(self) -> float:
        """Return the proportional memory of server and parsers, Prefect left out."""
        found = [self.process, *self.process.children(recursive=True)]
        return sum(
            process.memory_full_info().pss for process in found if "prefect" not in " ".join(process.cmdline())
        ) / (1 << 20)

    def ingest(self, name: str, content: bytes) -> str:
        """Upload a file and return its id when it can be searched."""
        answer = self.client.post("/api/v1/files/", files={"file": (name, content)})
        answer.raise_for_status()
        file_id = str(answer.json()["id"])
        with self.client.stream("GET", f"/api/v1/files/{file_id}/process/status", params={"stream": True}) as stream:
            last = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")][-1]
        assert last["status"] == "completed", (name, last)
        return file_id

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._output.close()


@contextmanager
def health_watched() -> Iterator[list[float]]:
    """Ask /health ten times a second for the length of the block; milliseconds of each answer."""
    taken: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not over.wait(0.1):
                started = time.perf_counter()
                client.get("http://127.0.0.1:3971/health").raise_for_status()
                taken.append((time.perf_counter() - started) * 1000)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()


def measure(server: Server, name: str, files: Sequence[tuple[str, bytes]], passages: int) -> tuple[Measured, list[str]]:
    before, started = server.cpu_s(), time.perf_counter()
    with health_watched() as health, ThreadPoolExecutor(CONCURRENCY) as pool:
        ids = list(pool.map(lambda each: server.ingest(*each), files))
    wall_s, after = time.perf_counter() - started, server.cpu_s()
    return Measured(
        name, len(files), passages, wall_s, after[0] - before[0], after[1] - before[1], health_ms=list(health)
    ), ids


async def passages_of(files: Sequence[tuple[str, bytes]], folder: Path) -> tuple[list[str], float]:
    """Return what the embedder is given for these files, and its own CPU seconds for it, alone."""
    settings = load_settings(arguments={"data_dir": folder})
    async with open_app(settings) as app:
        texts: list[str] = []
        for name, content in files:
            path = folder / "file"
            path.write_bytes(content)
            elements: Sequence[Element] = parse(path, name, content_type_of(name, io.BytesIO(content))).elements
            assert document_text(elements)[0]
            texts += embedded.passages_of(elements, name, settings=settings.chunking, embedder=app.embedder)[1]
        await app.embedder.embed_passages(texts[:1])  # loads
        started = time.process_time()
        await app.embedder.embed_passages(sorted(set(texts), key=len))
        return texts, time.process_time() - started


def bare(files: Sequence[tuple[str, bytes]], folder: Path) -> tuple[int, float]:
    """Return the number of passages and the bare embedder's CPU seconds, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as given:
        for number, (name, content) in enumerate(files):
            (Path(given) / f"{number:06}-{name}").write_bytes(content)
        answer = subprocess.run(
            [sys.executable, __file__, "--bare", given, "--folder", str(folder)],
            check=True,
            capture_output=True,
            text=True,
            env=child_environment({}),
        )
    count, seconds = answer.stdout.split()[-2:]
    return int(count), float(seconds)


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else float("nan")


def report(rows: Sequence[Measured]) -> None:
    print(
        f"{'':<22}{'files':>6}{'passages':>9}{'wall s':>8}{'CPU s':>8}{'bare s':>8}{'ratio':>7}{'Prefect s':>10}",
        end="",
    )
    print(f"{'passages/CPU s':>16}{'files/s':>9}{'health p99 ms':>15}")
    for row in rows:
        print(
            f"{row.name:<22}{row.files:>6}{row.passages:>9}{row.wall_s:>8.1f}{row.cpu_s:>8.1f}{row.bare_s:>8.1f}"
            f"{row.bare_s / row.cpu_s:>7.2f}{row.prefect_s:>10.1f}{row.passages / row.cpu_s:>16.1f}"
            f"{row.files / row.wall_s:>9.2f}{p99(row.health_ms):>15.1f}",
            flush=True,
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=0, help="also ingest so many small files and watch the memory")
    arguments.add_argument("--models", type=Path, help="folder with the built embedder, to save its building")
    arguments.add_argument("--minilm", type=Path, help="embed with this sentence-transformers folder instead")
    arguments.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.bare:
        files = [(path.name[7:], path.read_bytes()) for path in sorted(chosen.bare.iterdir())]
        texts, seconds = asyncio.run(passages_of(files, chosen.folder))
        print(len(texts), seconds)
        return
    environment = {}
    if chosen.minilm:
        environment = {"RAGLINE_EMBEDDER__KIND": "folder", "RAGLINE_EMBEDDER__PATH": str(chosen.minilm.resolve())}
    parts = {
        "text of 1 MB": [("long.txt", text(1 << 20, 1).encode())],
        "PDF of 50 pages": [("pages.pdf", pdf(50, 2))],
        "100 files of 5 KB": [(f"small-{n}.txt", text(5 << 10, 1000 + n).encode()) for n in range(100)],
    }
    with tempfile.TemporaryDirectory() as made:
        folder, other = Path(made) / "server", Path(made) / "bare"
        for each in (folder, other):
            each.mkdir()
            if chosen.models:
                (each / "models").symlink_to(chosen.models.resolve())
        run(folder, other, environment, parts, chosen.files)


def run(
    folder: Path, other: Path, environment: Mapping[str, str], parts: Mapping[str, list[tuple[str, bytes]]], many: int
) -> None:
    import os

    os.environ.update(environment)
    rows: list[Measured] = []
    server = Server(folder, environment)
    try:
        server.ingest("warm.txt", b"warm")
        ids: list[str] = []
        for name, files in parts.items():
            count, seconds = bare(files, other)
            row, ids = measure(server, name, files, count)
            row.bare_s = seconds
            rows.append(row)
        report(rows)
        add_all(server, ids)
        if many:
            watch_memory(server, many)
    finally:
        server.stop()


def add_all(server: Server, ids: Sequence[str]) -> None:
    made = server.client.post("/api/v1/knowledge/create", json={"name": "bench", "description": ""}).json()["id"]
    before, started = server.cpu_s()[0], time.perf_counter()
    for file_id in ids:
        server.client.post(f"/api/v1/knowledge/{made}/file/add", json={"file_id": file_id}).raise_for_status()
    wall_s, cpu_s = time.perf_counter() - started, server.cpu_s()[0] - before
    print(f"added {len(ids)} files to a collection: {len(ids) / wall_s:.0f} files/s, {cpu_s:.2f} CPU s")


def watch_memory(server: Server, many: int) -> None:
    for quarter in range(4):
        files = [(f"m-{quarter}-{n}.txt", text(400, 10**6 + quarter * many + n).encode()) for n in range(many // 4)]
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            list(pool.map(lambda each: server.ingest(*each), files))
        print(f"after {(quarter + 1) * many // 4} files: {server.memory_mib():.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
