"""An installation that a command opens for itself: it ingests, and serves its API to the command, without Prefect."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn

from ragline.api.server import create_api, events_written
from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.config.settings import Settings
from ragline.flows.runner import ingesting
from ragline.types import User

GRACE_S = 1
"""How long requests in progress may go on once the command has ended."""


@asynccontextmanager
async def own_app(settings: Settings) -> AsyncIterator[tuple[App, User, str | None]]:
    """Open the installation in this process and ingest for the length of the block. Raises SetupError.

    Gives the first administrator too, and their API key where it was made just now.
    """
    async with open_app(settings) as app:
        admin, key = await first_admin(app.records, settings.auth)
        async with ingesting(app):
            yield app, admin, key if settings.auth.enabled and settings.auth.bootstrap_key is None else None


@asynccontextmanager
async def serving(app: App, admin: User) -> AsyncIterator[str]:
    """Serve the API on a free port of this machine for the length of the block, and give its address."""
    api = create_api(app, admin=admin)
    config = uvicorn.Config(
        api,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
    )
    # Named as TCP, asyncio sends small answers at once; otherwise each waits 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.set_inheritable(False)
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]), name="server")
        try:
            async with events_written(api):
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


class Server(uvicorn.Server):
    """Leaves signals to the command."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
