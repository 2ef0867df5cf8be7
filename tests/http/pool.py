"""Ragline on several machines, all of them this one: Prefect on PostgreSQL, API servers, and workers of its pool."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it has none

from ragline.config.environment import child_environment
from ragline.flows.prefect_server import free_port
from tests.http.postgres import postgres
from tests.http.running import Running, start

POOL = "ragline"
SMALL_FILE_BYTES = 100_000
START_S = 120.0


@dataclass
class Installation:
    """Processes with the same settings, a folder for what they log, and their end."""

    folder: Path
    models: Path
    prefect_port: int
    prefect_database: str
    settings: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    servers: list[Running] = field(default_factory=list)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def serve(self, name: str) -> Running:
        """Start an API server; each has a data folder of its own, as on a machine of its own."""
        server = start(self.folder / name, self.models, self.settings)
        self.servers.append(server)
        return server

    def start_prefect(self) -> subprocess.Popen[bytes]:
        """Start Prefect's server and wait until it answers."""
        command = ["server", "start", "--host", "127.0.0.1", "--port", str(self.prefect_port)]
        extra = {"PREFECT_API_DATABASE_CONNECTION_URL": self.prefect_database}
        process = self._prefect("prefect", command, extra)
        until(lambda: self.answers() or process.poll() is not None, START_S)
        assert self.answers(), (self.folder / "prefect.log").read_text()
        return process

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a worker as docs/scaling.md says; it prints what its runs print to `<name>.log`."""
        data_dir = self.folder / name
        data_dir.mkdir(exist_ok=True)
        if not (data_dir / "models").exists():
            (data_dir / "models").symlink_to(self.models)
        command = ["worker", "start", "--pool", POOL, "--type", "process", "--limit", "1", "--name", name]
        return self._prefect(name, command, {**self.settings, "RAGLINE_DATA_DIR": str(data_dir)})

    def _prefect(self, name: str, command: list[str], extra: Mapping[str, str]) -> subprocess.Popen[bytes]:
        own = {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.folder / f"{name}-prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", *command],
                env=child_environment({**own, **extra}),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """Return what Prefect knows of the runs of a flow, the first one first."""
        wanted = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        answer = httpx.post(f"{self.api_url}/flow_runs/filter", json=wanted, timeout=30, trust_env=False)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def stop(self) -> None:
        for server in self.servers:
            if server.process.poll() is None:
                server.stop()
        for process in reversed(self.processes):
            kill_family(process)


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to a process, its children and theirs, all at once: what a machine that loses its power does."""
    with suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for each in family:  # stopped first, so that nobody sees another one end
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGSTOP)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait(timeout=30)


def family_of(process: subprocess.Popen[bytes]) -> set[int]:
    """Return the ids of a process, its children and theirs."""
    return {process.pid, *(each.pid for each in psutil.Process(process.pid).children(recursive=True))}


def until(done: Callable[[], bool], limit_s: float, *, what: Callable[[], object] = str) -> float:
    """Wait until `done`, and return how many seconds that took."""
    started = time.monotonic()
    while not done():
        assert time.monotonic() - started < limit_s, f"not so after {limit_s:g} s: {what()}"
        time.sleep(0.2)
    return time.monotonic() - started


@contextmanager
def installation(folder: Path, models: Path, vectors_url: str, blobs_url: str) -> Iterator[Installation]:
    """Give an installation with a Prefect server that answers; all its processes are killed at the end."""
    database = postgres()
    port = free_port()
    settings = {
        "RAGLINE_DATABASE__URL": database.new_database(),
        "RAGLINE_VECTORS__URL": vectors_url,
        "RAGLINE_BLOBS__URL": blobs_url,
        "RAGLINE_PREFECT__API_URL": f"http://127.0.0.1:{port}/api",
        "RAGLINE_PREFECT__WORK_POOL": POOL,
        "RAGLINE_EMBEDDER__THREADS": "1",
        "RAGLINE_PARSING__WORKERS": "1",
        "RAGLINE_QUEUE__SMALL_FILE_BYTES": str(SMALL_FILE_BYTES),
        "OMP_NUM_THREADS": "1",
    }
    made = Installation(folder, models, port, database.new_database(), settings)
    try:
        made.start_prefect()
        yield made
    finally:
        made.stop()
