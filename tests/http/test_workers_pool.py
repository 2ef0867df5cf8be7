"""Several machines, one queue: two API servers only take files in, two Prefect workers ingest them, and things die."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ragline.app import open_app
from ragline.config.settings import Blobs as BlobSettings
from ragline.config.settings import Database, Prefect, Settings, Vectors
from ragline.connectors.records.store import open_records
from ragline.pipelines.audit import Finding, audit
from ragline.session import open_ragline
from tests.http.pool import Installation, family_of, installation, kill_family, until
from tests.http.postgres import postgres
from tests.http.running import Running
from tests.s3 import new_bucket, s3_server, use_s3
from tests.vectors.qdrant_double import qdrant_double

SMALL_FILES = 60
LONG_CHARS = {"long-1.md": 300_000, "long-2.md": 110_000}
"""Both above `pool.SMALL_FILE_BYTES`; embedding the first takes longer than starting a second worker's run."""
LIMIT_S = 600.0

NOUNS = ("pompe", "vanne", "cuve", "turbine", "bobine", "soupape", "courroie")
VERBS = ("tient", "garde", "compte", "vend", "porte", "trouve", "cache", "donne", "perd")


def prose(name: str, chars: int) -> str:
    """Return a text of about so many characters in which no passage occurs twice."""
    lines, size = [f"# {name}"], 0
    for number in count():
        if size > chars:
            break
        noun, verb = NOUNS[number % len(NOUNS)], VERBS[number % len(VERBS)]
        lines.append(f"Dans {name}, au jour {number}, la {noun} {verb} {number * 7 % 1009} litres.")
        size += len(lines[-1]) + 2
    return "\n\n".join(lines)


FILES = {f"small-{number:02}.md": prose(f"note {number}", 1500) for number in range(SMALL_FILES)} | {
    name: prose(name, chars) for name, chars in LONG_CHARS.items()
}


def upload(server: Running, *names: str, text: str | None = None) -> None:
    with server.client() as client:
        for name in names:
            content = (text or FILES[name]).encode()
            client.post("/api/v1/files/", files={"file": (name, content)}).raise_for_status()


class Rows:
    """The records, read as they are in PostgreSQL."""

    def __init__(self, made: Installation) -> None:
        self.database = made.settings["RAGLINE_DATABASE__URL"].rpartition("/")[2]

    def __call__(self, query: str) -> list[tuple[Any, ...]]:
        return postgres().execute(query, database=self.database)

    def statuses(self) -> Counter[str]:
        return Counter(dict(self("SELECT status, count(*) FROM files GROUP BY status")))

    def all_completed(self) -> bool:
        return set(self.statuses()) == {"completed"}

    def holders(self, filename: str = "%") -> set[int]:
        """Return the ids of the processes that work on files of this name."""
        query = f"SELECT DISTINCT lease FROM files WHERE status = 'processing' AND filename LIKE '{filename}'"
        return {int(lease.split(":")[1]) for [lease] in self(query)}


@pytest.fixture
def made(tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with s3_server() as s3, qdrant_double() as vectors:
        use_s3(monkeypatch, s3)
        with installation(tmp_path, models_folder, vectors, f"s3://{new_bucket()}/files") as opened:
            yield opened


def test_a_run_that_is_started_twice_takes_files_under_two_names() -> None:
    from ragline.flows.drain import owner_of  # imports Prefect

    names = [owner_of("run") for _ in range(2)]
    assert names[0] != names[1]
    assert all(name.endswith(":run") for name in names)


@pytest.mark.timeout(1500)
def test_a_pool_of_workers_drains_one_queue_whatever_dies(made: Installation, tmp_path: Path) -> None:
    servers = [made.serve("api-1"), made.serve("api-2")]
    workers = [made.start_worker(name) for name in ("worker-1", "worker-2")]
    rows = Rows(made)

    upload(servers[0], "long-1.md")
    first_s = until(lambda: bool(rows.holders("long-1.md")), LIMIT_S, what=rows.statuses)
    for number, name in enumerate(name for name in FILES if name != "long-1.md"):
        upload(servers[number % 2], name)
    both_s = until(lambda: len(rows.holders()) == 2, LIMIT_S, what=rows.statuses)
    assert len(made.runs("drain")) == 2
    dead = next(worker for worker in workers if rows.holders("long-1.md") & family_of(worker))
    kill_family(dead)
    before = rows.statuses()
    print(
        f"first file in hand after {first_s:.0f} s, in two pairs of hands after {both_s:.0f} s more; killed at {before}"
    )
    assert before["processing"] > 0

    done_s = until(rows.all_completed, LIMIT_S, what=rows.statuses)
    over_s = until(lambda: not unfinished(made), LIMIT_S, what=lambda: unfinished(made))
    states = Counter(run["state_type"] for run in made.runs("drain"))
    batches = Counter(run["state_type"] for run in made.runs("ingest"))
    print(f"all completed {done_s:.0f} s after the kill, runs over {over_s:.0f} s later: {states} {batches}")
    assert states["CRASHED"] == 1
    assert batches["CRASHED"] >= 1
    assert set(states) | set(batches) == {"CRASHED", "COMPLETED"}
    check_each_once(made, rows, crashed_runs(made))
    assert asyncio.run(findings(made, tmp_path / "api-1")) == []
    assert dict(rows("SELECT filename, chunk_count FROM files")) == in_one_process(rows, made, tmp_path / "alone")

    late_s = second_batch(made, rows, servers[1])
    down_s = prefect_goes_down(made, rows, servers)
    print(f"after an empty queue {late_s:.0f} s until searchable, after Prefect was back {down_s:.0f} s")
    for server in servers:
        assert "Traceback" not in server.logged


def second_batch(made: Installation, rows: Rows, server: Running) -> float:
    """Upload when nobody works any more; return how long it takes until all can be searched."""
    drains = len(made.runs("drain"))
    upload(server, "late-1.md", "late-2.md", text=prose("plus tard", 1500))
    taken_s = until(rows.all_completed, LIMIT_S, what=rows.statuses)
    assert len(made.runs("drain")) == drains + 1
    until(lambda: not unfinished(made), LIMIT_S)
    return taken_s


def prefect_goes_down(made: Installation, rows: Rows, servers: Sequence[Running]) -> float:
    """Stop Prefect, upload, start it again; return how long after that all can be searched."""
    kill_family(made.processes[0])
    until(lambda: any("files wait" in server.logged for server in servers), LIMIT_S)
    upload(servers[0], "down.md", text=prose("pendant la panne", 1500))
    until(lambda: all("files wait" in server.logged for server in servers), LIMIT_S)
    assert rows.statuses()["pending"] == 1
    made.start_prefect()
    if made.processes[2].poll() is not None:  # it gives up after a minute or so; who runs workers has them restarted
        made.start_worker("worker-3")
    took_s = until(rows.all_completed, LIMIT_S, what=rows.statuses)
    for server in servers:
        assert server.logged.count("files wait") == 1
    return took_s


def unfinished(made: Installation) -> list[str]:
    runs = made.runs("drain") + made.runs("ingest")
    return [run["name"] for run in runs if run["state_type"] in ("SCHEDULED", "PENDING", "RUNNING")]


def crashed_runs(made: Installation) -> set[str]:
    return {run["id"] for run in made.runs("ingest") if run["state_type"] == "CRASHED"}


def check_each_once(made: Installation, rows: Rows, crashed: set[str]) -> None:
    """Nobody did what another one did. The last lines of a process that was killed may be lost on their way."""
    logged = "".join((made.folder / f"worker-{number}.log").read_text() for number in (1, 2))
    times = Counter(re.findall(r"ingested file=(\S+)", logged))
    assert set(times.values()) == {1}
    unsaid = {run for file_id, run in rows("SELECT id, flow_run_id FROM files") if file_id not in times}
    assert unsaid <= crashed


async def findings(made: Installation, data_dir: Path) -> list[Finding]:
    settings = Settings(
        data_dir=data_dir,
        database=Database(url=SecretStr(made.settings["RAGLINE_DATABASE__URL"])),
        vectors=Vectors(url=made.settings["RAGLINE_VECTORS__URL"]),
        blobs=BlobSettings(url=made.settings["RAGLINE_BLOBS__URL"]),
        prefect=Prefect(enabled=False),
    )
    async with open_app(settings) as app:
        return list((await audit(app, repair=False)).findings)


def in_one_process(rows: Rows, made: Installation, folder: Path) -> dict[str, int]:
    """Return the passages of each file as one process alone makes them, with vectors that are known already."""
    sources = folder / "sources"
    sources.mkdir(parents=True)
    for name, text in FILES.items():
        (sources / name).write_text(text)
    (folder / "models").symlink_to(made.models)
    asyncio.run(make_tables(folder))
    database = sqlite3.connect(folder / "ragline.db")
    known = rows("SELECT model_id, text_sha256, vector FROM embeddings")
    database.executemany("INSERT INTO embeddings VALUES (?, ?, ?)", known)
    database.commit()
    database.close()
    with open_ragline(folder) as rag:
        return {file.filename: file.chunk_count for file in rag.ingest(*sorted(sources.iterdir()))}


async def make_tables(folder: Path) -> None:
    await (await open_records(Database(), data_dir=folder)).close()
