"""A real `ragline serve` in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from ragline.config.environment import child_environment

START_S = 120.0
started: list[Running] = []
"""All servers of this test run, the ended ones too."""


@dataclass
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    url: str
    key: str
    data_dir: Path

    @property
    def printed(self) -> str:
        return (self.data_dir / "stdout.log").read_text()

    @property
    def logged(self) -> str:
        return (self.data_dir / "stderr.log").read_text()

    @property
    def prefect_url(self) -> str:
        """The address of the API of its Prefect server."""
        [line] = [line for line in self.printed.splitlines() if line.startswith("Prefect UI")]
        return f"{line.split()[-1]}/api"

    def wait_for_prefect(self) -> None:
        """Wait until Prefect answers; until then files are ingested without a run in it."""
        deadline = time.monotonic() + START_S
        while not answers(f"{self.prefect_url}/health"):
            assert time.monotonic() < deadline, "Prefect does not answer"
            time.sleep(0.3)

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120, trust_env=False)

    def kill(self) -> None:
        """Send SIGKILL to the server and everything of its process group, as a machine that runs out of memory does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> float:
        """Send SIGTERM and return how many seconds the end took."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout=30)
        return time.monotonic() - started


def start(data_dir: Path, models: Path, settings: Mapping[str, str] = {}, *, key: str = "sk-test") -> Running:
    """Start a server on free ports and wait until it answers; `models` is shared between servers."""
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / "models").exists():
        (data_dir / "models").symlink_to(models)
    chosen = {
        "RAGLINE_SERVER__PORT": "0",
        "RAGLINE_PREFECT__PORT": "0",
        "RAGLINE_DATA_DIR": str(data_dir),
        "RAGLINE_AUTH__BOOTSTRAP_KEY": key,
        "RAGLINE_EMBEDDED_MODELS__THREADS": "1",
        **settings,
    }
    for stream in ("stdout", "stderr"):
        if (log := data_dir / f"{stream}.log").exists():  # of the server before: kept for who looks into a failure
            log.rename(data_dir / f"{stream}.{len(list(data_dir.glob(f'{stream}.*')))}.log")
    with (data_dir / "stdout.log").open("w") as output, (data_dir / "stderr.log").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "ragline", "serve"],
            env=child_environment(chosen),
            cwd=data_dir,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    running = Running(process, "", key, data_dir)
    started.append(running)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Ragline is at +(\S+)", running.printed):
            running.url = found[1]
            if answers(f"{running.url}/health"):
                return running
        time.sleep(0.02)
    raise AssertionError(f"the server does not answer: {running.printed} {running.logged}")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
