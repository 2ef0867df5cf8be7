"""The model server of the shared tools, in a process of its own: OpenAI's and Ollama's formats on one loopback port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

START_S = 30.0


@dataclass
class Stub:
    """A model server that echoes what it was sent and keeps it."""

    url: str

    def seen(self, path: str) -> list[dict[str, Any]]:
        """Return the requests for a path that came since `forget`, the oldest first: `headers`, `body`."""
        log = httpx.get(f"{self.url}/__log", trust_env=False).json()
        return [each for each in log if each["path"].split("?")[0] == path]

    def forget(self) -> None:
        httpx.delete(f"{self.url}/__log", trust_env=False)


@contextmanager
def stub_of(script: Path) -> Iterator[Stub]:
    """Run the stub on a free port for the length of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(script), "--port", str(port)], stdin=subprocess.DEVNULL)
    stub = Stub(f"http://127.0.0.1:{port}")
    try:
        wait_for(stub, process)
        yield stub
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(stub: Stub, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{stub.url}/__len", timeout=5, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the model server of the shared tools does not answer")
