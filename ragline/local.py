"""A server for commands of this machine: the one that has the data folder, else one for the length of the command."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ragline.api.sessions import Sessions
from ragline.config.environment import quiet_libraries
from ragline.config.settings import Settings
from ragline.connectors.records.store import Records, open_records
from ragline.errors import SetupError
from ragline.running import Running, running_server


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers, and a token of the first administrator for it.

    `new_key` is their API key where it was made just now: nobody can read it again.
    """

    url: str
    token: str
    new_key: str | None = None


@asynccontextmanager
async def a_server(settings: Settings) -> AsyncIterator[Server]:
    """Give the server that has the data folder, else one in this process, which ingests and does not know Prefect.

    Raises SetupError where the folder can neither be asked for nor opened.
    """
    quiet_libraries()
    quiet_logging()
    if (running := await found_server(settings)) is not None:
        async with known_records(settings) as records:
            admin = await records.users.first_admin()
        if admin is None:
            raise SetupError(f"the server at {running.url} has other records than these settings: give --server, --key")
        yield Server(running.url, Sessions.of(settings).token(admin)[0])
        return
    from ragline.alone import own_app, serving

    async with own_app(settings) as (app, admin, new_key), serving(app, admin) as url:
        yield Server(url, Sessions.of(settings).token(admin)[0], new_key)


async def found_server(settings: Settings) -> Running | None:
    """Return the server that has the data folder now."""
    return await asyncio.to_thread(running_server, settings.data_dir)


def check_installed(settings: Settings) -> None:
    """Raise SetupError where there is no installation: a command that makes nothing must not make an empty one."""
    if settings.database.url is None and not (settings.data_dir / "ragline.db").exists():
        raise SetupError(f"no installation in {str(settings.data_dir)!r}: start `ragline serve`, or name --data-dir")


@asynccontextmanager
async def known_records(settings: Settings) -> AsyncIterator[Records]:
    """Open the records of an installation that is there. Raises SetupError where there is none."""
    check_installed(settings)
    records = await open_records(settings.database, data_dir=settings.data_dir.resolve())
    try:
        yield records
    finally:
        await records.close()


async def new_key(settings: Settings, *, name: str) -> str:
    """Return a new API key of the first administrator. Raises SetupError where there is no installation yet."""
    async with known_records(settings) as records:
        admin = await records.users.first_admin()
        if admin is None:
            raise SetupError("there is no administrator yet: start `ragline serve` first")
        key, _ = await records.keys.add(admin.id, name=name)
        return key


class Warnings(logging.Handler):
    """Writes to what is standard error at that moment: a progress bar puts itself in its place.

    Prefect's own lines are left to its UI.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("prefect"):
            sys.stderr.write(f"{self.format(record)}\n")


def quiet_logging() -> None:
    """Log warnings only. Before Prefect is imported: it leaves a root that has a handler with a format alone."""
    handler = Warnings(logging.WARNING)
    handler.setFormatter(logging.Formatter("ragline: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each try again is a warning there; the error says enough
