"""Which server has a data folder open: other commands on this machine ask it instead of opening it themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

FILE = "server.json"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its address, Prefect's API where it has one, the names of the sources it follows."""

    url: str
    prefect_api_url: str | None
    pid: int
    sources: tuple[str, ...] = ()


@contextmanager
def noted(data_dir: Path, *, url: str, prefect_api_url: str | None, sources: tuple[str, ...]) -> Iterator[None]:
    """Let other processes find this server for the length of the block."""
    path = data_dir / FILE
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_text(json.dumps(asdict(Running(url, prefect_api_url, os.getpid(), sources))))
    unfinished.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running_server(data_dir: Path) -> Running | None:
    """Return the server that has this folder open, None where none answers: a killed one leaves its note behind."""
    try:
        said = json.loads((data_dir / FILE).read_text())
        server = Running(said["url"], said["prefect_api_url"], said["pid"], tuple(said.get("sources", ())))
        answer = httpx.get(f"{server.url}/health", timeout=5.0, trust_env=False)
    except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError):
        return None
    return server if answer.status_code == httpx.codes.OK else None
