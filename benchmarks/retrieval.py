"""Measure search at 10,000, 50,000 and 200,000 passages, through the product's own path.

    python benchmarks/retrieval.py [--sizes 10000 50000 200000] [--data ../shared/data/beir] [--keep FOLDER]

Texts are sentences of the BEIR sets in `--data`, mixed anew for each passage, their lexical vectors real; dense vectors
are those of 1,200 of their passages, each varied. Files of 20 passages lie in the records as ingestion leaves them.
Each size is measured in a process of its own that opens what was stored: memory first, then `query_of` and `find`,
then `POST /api/v1/retrieval/query/collection` on a real port. CPU is that of the process that searches. A question that
was asked before is not embedded again, and the words of passages found before are known: p50 and p95 are of those.
Machines are noisy: the load is printed beside the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from sqlalchemy import insert

from ragline.alone import serving
from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.config.environment import child_environment, quiet_libraries
from ragline.config.settings import Settings
from ragline.connectors.records import tables
from ragline.connectors.vectors.bm25 import passage_vector
from ragline.connectors.vectors.protocol import Point
from ragline.language import language_of
from ragline.retrieval.plan import plan_for
from ragline.retrieval.references import scope_for
from ragline.retrieval.search import find, query_of
from ragline.types import Chunk, Passage, Scope, User

Matrix = npt.NDArray[np.float32]

SETS = ("piaf_a", "scifact", "xquad_en", "cranfield")
SEEDS = 300
"""Passages of each set that are embedded."""
PASSAGE_CHARS = 900
FILE_PASSAGES = 20
SPREAD = 0.5
"""Length of what is added to a vector to vary it, where the vector itself has 1."""
STAGED = 2000
WARM = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """Which files belong to whom: every tenth in the collection `tenth`, every twentieth is the user's own."""

    everything: str
    tenth: str
    user: str
    file: str


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: milliseconds a question."""

    scope: str
    path: str
    p50: float
    p95: float
    cpu: float
    cpu_embedded: float


class Questions:
    """So many questions that are asked again and again, and as many that nobody asked before each time."""

    def __init__(self, every: Sequence[str], count: int) -> None:
        self.again = list(every[:count])
        self._others = iter(every[count:])
        self._count = count

    def fresh(self) -> list[str]:
        found = [question for _, question in zip(range(self._count), self._others, strict=False)]
        assert len(found) == self._count, "the sets have too few questions: ask for fewer"
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data" / "beir")
    parser.add_argument("--keep", type=Path, help="Folder for what is stored; what is in it already is measured again.")
    parser.add_argument("--models", type=Path, help="Folder with the built embedding model, to save its build.")
    parser.add_argument("--questions", type=int, default=80)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    quiet_libraries()
    if arguments.measure is not None:
        asyncio.run(measured(arguments.measure, Questions(questions_of(arguments.data), arguments.questions)))
        return
    with tempfile.TemporaryDirectory(prefix="ragline-bench-") as scratch:
        folder = arguments.keep or Path(scratch)
        print(f"{SETS} from {arguments.data.name}; {psutil.cpu_count()} cores; {arguments.questions} questions\n")
        for size in arguments.sizes:
            stored = folder / str(size)
            if not (stored / "shape.json").exists():
                stored.mkdir(parents=True, exist_ok=True)
                if arguments.models is not None and not (stored / "models").exists():
                    (stored / "models").symlink_to(arguments.models.resolve())
                asyncio.run(build(stored, size, arguments.data))
            show(size, in_a_process(stored, arguments))


def in_a_process(stored: Path, arguments: argparse.Namespace) -> Mapping[str, object]:
    command = [sys.executable, __file__, "--measure", str(stored), "--data", str(arguments.data)]
    command += ["--questions", str(arguments.questions)]
    done = subprocess.run(command, env=child_environment(), stdout=subprocess.PIPE, text=True, check=True)
    said: Mapping[str, object] = json.loads(done.stdout)
    return said


def show(size: int, said: Mapping[str, object]) -> None:
    """Print one size as a table."""
    print(f"### {size:,} passages")
    print(
        f"opened in {said['open_s']:.2f} s; memory {said['opened_mb']} MB opened, {said['searched_mb']} MB after all; "
        f"load {psutil.getloadavg()[0]:.1f}\n"
    )
    print("| scope | path | p50 ms | p95 ms | CPU ms, asked again | CPU ms, new question |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    rows = said["rows"]
    assert isinstance(rows, list)
    for row in rows:
        figures = " | ".join(f"{row[name]:.1f}" for name in ("p50", "p95", "cpu", "cpu_embedded"))
        print(f"| {row['scope']} | {row['path']} | {figures} |")
    print(flush=True)


async def measured(folder: Path, questions: Questions) -> None:
    """Open what was stored, search it, and print what that took as JSON."""
    shape = Shape(**json.loads((folder / "shape.json").read_text()))
    began = time.perf_counter()
    async with open_app(Settings(data_dir=folder)) as app:
        open_s = time.perf_counter() - began
        opened_mb = memory_mb()
        admin, _ = await first_admin(app.records, app.settings.auth)
        user = await app.records.users.get(shape.user)
        assert user is not None
        await app.embedder.embed_query("warm")
        gc.collect()
        gc.freeze()  # as `ragline serve` does
        rows = [
            await searched(app, name, scope, questions)
            for name, scope in (await scopes(app, shape, admin, user)).items()
        ]
        key, _ = await app.records.keys.add(admin.id, name="bench")
        async with serving(app, admin) as url:
            for name, asked in {"a tenth": shape.tenth, "all in one collection": shape.everything}.items():
                rows.append(await requested(url, key, name, asked, questions))
        gc.collect()
        said = {"open_s": open_s, "opened_mb": opened_mb, "searched_mb": memory_mb(), "rows": list(map(asdict, rows))}
    print(json.dumps(said))


async def scopes(app: App, shape: Shape, admin: User, user: User) -> dict[str, Scope]:
    """Return the scopes as the routes make them."""
    everything, tenth = frozenset({shape.everything}), frozenset({shape.tenth})
    return {
        "administrator, no filter": await scope_for(app, admin),
        "administrator, all in one collection": await scope_for(app, admin, collection_ids=everything),
        "administrator, a tenth": await scope_for(app, admin, collection_ids=tenth),
        "administrator, one file": await scope_for(app, admin, file_ids=frozenset({shape.file})),
        "user, own files and a shared tenth": Scope(user_id=user.id, shared_collection_ids=tenth),
        "user, a shared tenth": await scope_for(app, user, collection_ids=tenth),
        "user, all in one shared collection": await scope_for(app, user, collection_ids=everything),
    }


async def searched(app: App, name: str, scope: Scope, questions: Questions) -> Row:
    """Ask questions again, and others for the first time, of `query_of` and `find` themselves."""
    plan = await plan_for(app, scope)

    async def ask(question: str) -> None:
        query = await query_of(app, question)
        assert query is not None
        await find(app, question, query, scope, plan)

    fresh, again = questions.fresh(), questions.again
    for question in again:
        await query_of(app, question)
    for question in again[:WARM]:
        await ask(question)
    walls: list[float] = []
    cpu = time.process_time()
    for question in again:
        began = time.perf_counter()
        await ask(question)
        walls.append(time.perf_counter() - began)
    cpu, embedded = time.process_time() - cpu, time.process_time()
    for question in fresh:
        await ask(question)
    embedded = time.process_time() - embedded
    return row_of(name, "find", walls, cpu, embedded)


def row_of(name: str, path: str, walls: Sequence[float], cpu: float, embedded: float) -> Row:
    count = len(walls)
    ordered = sorted(walls)
    p50, p95 = statistics.median(ordered), ordered[int(0.95 * (count - 1))]
    return Row(name, path, p50 * 1000, p95 * 1000, cpu / count * 1000, embedded / count * 1000)


async def requested(url: str, key: str, name: str, collection_id: str, questions: Questions) -> Row:
    """Ask over HTTP, from a process of its own, one question after the other; CPU is this process's."""
    fresh, again = questions.fresh(), questions.again
    await asked(url, key, collection_id, again)
    cpu = time.process_time()
    walls = await asked(url, key, collection_id, again)
    cpu, embedded = time.process_time() - cpu, time.process_time()
    await asked(url, key, collection_id, fresh)
    embedded = time.process_time() - embedded
    return row_of(f"administrator, {name}", "HTTP", walls, cpu, embedded)


ASKING = """
import json, sys, time, httpx
url, key, collection, *_ = sys.argv[1:]
walls = []
with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False) as client:
    for question in json.load(sys.stdin):
        began = time.perf_counter()
        body = {"collection_names": [collection], "query": question}
        answer = client.post("/api/v1/retrieval/query/collection", json=body)
        walls.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text
print(json.dumps(walls))
"""


async def asked(url: str, key: str, collection_id: str, questions: Sequence[str]) -> list[float]:
    """Return how long each question took, in seconds."""
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASKING, url, key, collection_id),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(),
    )
    out, _ = await client.communicate(json.dumps(list(questions)).encode())
    walls: list[float] = json.loads(out)
    return walls


def memory_mb() -> int:
    return int(psutil.Process().memory_info().rss) >> 20


async def build(folder: Path, size: int, data: Path) -> None:
    """Store `size` passages as ingestion leaves them, and `shape.json` at the end."""
    began = time.perf_counter()
    texts = [text for name in SETS for text in passages_in(data / name)]
    async with open_app(Settings(data_dir=folder)) as app:
        seeds = texts[:: max(1, len(texts) // (SEEDS * len(SETS)))]
        vectors = await app.embedder.embed_passages(seeds)
        shape = await add_records(app, size // FILE_PASSAGES)
        dice = random.Random(size)
        noise = np.random.default_rng(size)
        batch: list[Point] = []
        for number, home in enumerate(files_of(shape, size // FILE_PASSAGES)):
            for index in range(FILE_PASSAGES):
                text = mixed(dice, texts)
                vector = varied(noise, vectors[dice.randrange(len(vectors))])
                batch.append(point(text, vector, home, index))
            if len(batch) >= STAGED or number == size // FILE_PASSAGES - 1:
                await app.vectors.stage(batch, version="v1")
                for file in dict.fromkeys(each.passage.file_id for each in batch):
                    await app.vectors.publish(file, version="v1")
                batch = []
    (folder / "shape.json").write_text(json.dumps(asdict(shape)))
    print(f"stored {size:,} passages in {time.perf_counter() - began:.0f} s", file=sys.stderr)


def passages_in(folder: Path) -> list[str]:
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"][:PASSAGE_CHARS] for line in lines]


def questions_of(data: Path) -> list[str]:
    """Return questions of all sets in turn, each once."""
    every = [
        [json.loads(line)["text"] for line in (data / name / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in SETS
    ]
    return list(dict.fromkeys(question for row in zip(*every, strict=False) for question in row))


def mixed(dice: random.Random, texts: Sequence[str]) -> str:
    """Return a passage of the sentences of two of the texts, in another order."""
    sentences = [part for text in dice.sample(texts, 2) for part in text.split(". ") if part.strip()]
    dice.shuffle(sentences)
    return ". ".join(sentences)[:PASSAGE_CHARS]


def varied(noise: np.random.Generator, vector: Matrix) -> Matrix:
    """Return a vector of length 1 near another one."""
    added = noise.standard_normal(len(vector), dtype=np.float32)
    moved: Matrix = vector + SPREAD * added / np.linalg.norm(added)
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def files_of(shape: Shape, count: int) -> Iterator[tuple[str, str, list[str]]]:
    """Give each file's id, its owner and its collections."""
    for number in range(count):
        file_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"file {number}"))
        owner = shape.user if number % 20 == 3 else OTHER
        yield file_id, owner, [shape.everything, *([shape.tenth] if number % 10 == 0 else [])]


OTHER = str(uuid.uuid5(uuid.NAMESPACE_OID, "other"))


def point(text: str, vector: Matrix, home: tuple[str, str, list[str]], index: int) -> Point:
    file_id, owner, collection_ids = home
    language = language_of(text)
    chunk = Chunk(
        index=index,
        text=text,
        start=index * 1000,
        end=index * 1000 + len(text),
        heading="",
        page=None,
        language=language,
    )
    passage = Passage(
        str(uuid.uuid5(uuid.NAMESPACE_OID, f"{file_id} {index}")), file_id, "v1", owner, f"{file_id}.txt", chunk
    )
    return Point(passage, collection_ids, [float(number) for number in vector], passage_vector(text, language))


async def add_records(app: App, count: int) -> Shape:
    """Write the rows of users, files and collections, and return which is which."""
    now = int(time.time())
    admin, _ = await first_admin(app.records, app.settings.auth)
    shape = Shape(*(str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("everything", "tenth", "user", "file 0")))
    people = [
        {"id": each, "email": f"{each}@example.org", "name": each, "role": "user", "session_stamp": 0}
        | {"last_active_at": now, "created_at": now, "updated_at": now}
        for each in (shape.user, OTHER)
    ]
    made = [
        {"id": each, "user_id": admin.id, "name": each, "description": "", "created_at": now, "updated_at": now}
        for each in (shape.everything, shape.tenth)
    ]
    rows = list(files_of(shape, count))
    members = [
        {"collection_id": each, "file_id": file_id, "created_at": now}
        for file_id, _, lies_in in rows
        for each in lies_in
    ]
    async with app.records.engine.begin() as connection:
        await connection.execute(insert(tables.users), people)
        await connection.execute(insert(tables.collections), made)
        await connection.execute(insert(tables.files), [file_row(file_id, owner, now) for file_id, owner, _ in rows])
        await connection.execute(insert(tables.memberships), members)
    for each in (shape.everything, shape.tenth):
        await app.records.grants.replace(each, {shape.user: "read"})
    return shape


def file_row(file_id: str, owner: str, now: int) -> dict[str, object]:
    return {
        "id": file_id, "user_id": owner, "filename": f"{file_id}.txt", "content_type": "text/plain",
        "size_bytes": PASSAGE_CHARS * FILE_PASSAGES, "sha256": file_id.replace("-", ""), "blob": file_id,
        "version": "v1", "status": "completed", "stage": "done", "progress": 1.0, "chunk_count": FILE_PASSAGES,
        "metadata": {}, "attempts": 1, "interruptions": 0, "queued_at": now, "not_before": 0, "lease_until": 0,
        "untidy": 0, "created_at": now, "updated_at": now,
    }  # fmt: skip


if __name__ == "__main__":
    main()
