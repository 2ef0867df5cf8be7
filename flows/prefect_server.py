"""The Prefect server that `ragline serve` starts as a child, or the user's own: where it is and whether it answers."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from pathlib import Path

import httpx

from ragline.config.environment import child_environment
from ragline.config.settings import Prefect
from ragline.connectors.tether import TETHER
from ragline.errors import SetupError

log = logging.getLogger(__name__)

STOP_S = 2.0
"""How long the child may take to stop before it is killed."""


class PrefectServer:
    """`api_url` is the address of the API; the child, where there is one, lives from `start` to `stop`."""

    def __init__(self, settings: Prefect, *, data_dir: Path) -> None:
        self.is_child = settings.api_url is None
        self._port = settings.port if settings.port or not self.is_child else free_port()
        self._home = data_dir / "prefect"
        self._process: asyncio.subprocess.Process | None = None
        self.api_url = settings.api_url or f"http://127.0.0.1:{self._port}/api"

    @property
    def ui_url(self) -> str:
        return self.api_url.removesuffix("/api")

    async def start(self) -> None:
        """Start the child without waiting for it. Raises SetupError when its port is taken."""
        if not self.is_child:
            return
        if port_taken(self._port):
            raise SetupError(
                f"port {self._port}, for the Prefect server, is taken: stop what listens there, choose another "
                "with RAGLINE_PREFECT__PORT (0 takes a free one), or name your own server as RAGLINE_PREFECT__API_URL"
            )
        self._home.mkdir(parents=True, exist_ok=True)
        environment = child_environment(
            {
                "PREFECT_HOME": str(self._home),
                "PREFECT_SERVER_UI_API_URL": self.api_url,
                "PREFECT_API_URL": self.api_url,
                "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{self._home / 'prefect.db'}",
            }
        )
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        with (self._home / "server.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *TETHER,
                *command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal is ours to pass on
            )

    async def answers(self) -> bool:
        """Tell whether the API answers now, within a second."""
        try:
            async with httpx.AsyncClient(timeout=1.0) as client:
                return (await client.get(f"{self.api_url}/health")).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    async def wait(self, *, limit_s: float) -> bool:
        """Wait until the API answers; False when the time is over or the child has ended."""
        try:
            async with asyncio.timeout(limit_s):
                while not await self.answers():
                    if self._process and self._process.returncode is not None:
                        log.warning("the Prefect server ended: see %s", self._home / "server.log")
                        return False
                    await asyncio.sleep(0.3)
                return True
        except TimeoutError:
            return False

    async def stop(self) -> None:
        """Stop the child, by force if it takes longer than STOP_S."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
