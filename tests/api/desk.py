"""The API in this process: requests without a port, users of every role, files that are really ingested."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ragline.api.server import create_api, events_written
from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.config.settings import Connection, Models, Settings
from ragline.flows.runner import ingesting
from ragline.types import Role, User
from tests.test_ingest import Here


@dataclass
class Person:
    """A user and their client, which has an API key of theirs."""

    user: User
    key: str
    client: httpx.AsyncClient


@dataclass
class Desk:
    """An open installation. `admin` is the first administrator."""

    app: App
    api: FastAPI
    admin: Person
    stack: AsyncExitStack

    async def client(self, token: str | None = None) -> httpx.AsyncClient:
        """Return a client with this token, or none."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.api, raise_app_exceptions=False)
        made = httpx.AsyncClient(transport=transport, base_url="http://ragline", headers=headers, timeout=60)
        return await self.stack.enter_async_context(made)

    async def person(self, name: str, role: Role = "user") -> Person:
        user = await self.app.records.users.add(name=name, email=f"{name}@example.org", role=role, password_hash=None)
        key, _ = await self.app.records.keys.add(user.id, name="test")
        return Person(user, key, await self.client(key))

    async def upload(self, who: Person, name: str, text: str, **metadata: Any) -> str:
        """Upload a file, wait until it is ingested and return its id."""
        import json

        answer = await who.client.post(
            "/api/v1/files/?process_in_background=false",
            files={"file": (name, text.encode(), "text/plain")},
            data={"metadata": json.dumps(metadata)} if metadata else {},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["status"] == "completed", answer.text
        return str(answer.json()["id"])

    async def collection(self, who: Person, name: str, *file_ids: str) -> str:
        """Make a collection of these files and return its id."""
        made = (await who.client.post("/api/v1/knowledge/create", json={"name": name, "description": ""})).json()["id"]
        for file_id in file_ids:
            answer = await who.client.post(f"/api/v1/knowledge/{made}/file/add", json={"file_id": file_id})
            assert answer.status_code == 200, answer.text
        return str(made)


@asynccontextmanager
async def open_desk(
    tmp_path: Path, models_folder: Path, *, backend_url: str | None = None, **more: Any
) -> AsyncIterator[Desk]:
    """Open an installation with the packaged embedder; `backend_url` serves OpenAI's and Ollama's routes.

    `more` are settings. Files are ingested as they come.
    """
    (tmp_path / "models").symlink_to(models_folder)
    connections = [Connection(name="functions", kind="functions")]
    if backend_url is not None:
        connections = [
            Connection(name="open", kind="openai", url=f"{backend_url}/v1"),
            Connection(name="ollama", kind="ollama", url=backend_url),
            *connections,
        ]
    settings = Settings(data_dir=tmp_path, **{"models": Models(connections=tuple(connections), aliases={}), **more})
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_app(settings))
        app = replace(opened, workers=Here(settings.parsing))
        user, _ = await first_admin(app.records, settings.auth)
        await stack.enter_async_context(ingesting(app))
        api = create_api(app, admin=user)
        await stack.enter_async_context(events_written(api))
        key, _ = await app.records.keys.add(user.id, name="test")
        desk = Desk(app, api, None, stack)  # type: ignore[arg-type]  # made with the desk's own client below
        desk.admin = Person(user, key, await desk.client(key))
        yield desk
