"""Several connections through the API: what their models are called, and what each back end is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ragline.config.settings import Connection, Models
from tests.api.desk import Desk, open_desk
from tests.models.loopback import Loopback


@pytest.fixture
async def desk(tmp_path: Path, models_folder: Path, backend: Loopback, dead_url: str) -> AsyncIterator[Desk]:
    connections = (
        Connection(name="absent", kind="ollama", url=dead_url),
        Connection(name="first", kind="openai", url=f"{backend.url}/v1"),
        Connection(name="second", kind="openai", url=f"{backend.url}/v1"),
        Connection(name="third", kind="openai", url=f"{backend.url}/v1", prefix="pr"),
        Connection(name="local", kind="embedded", prefix="ici"),
    )
    async with open_desk(tmp_path, models_folder, models=Models(connections=connections, aliases={})) as opened:
        yield opened


async def test_all_models_are_listed_once_and_asked_under_their_own_names(desk: Desk, backend: Loopback) -> None:
    ada = await desk.person("ada")
    listed = {model["id"]: model["backend"] for model in (await ada.client.get("/api/models")).json()["data"]}
    assert listed == {"echo": "first", "second.echo": "second", "pr.echo": "third", "ici.smollm2:135m": "local"}
    for name in ("echo", "second.echo", "pr.echo", "first.echo", "third.echo"):
        body: dict[str, Any] = {"model": name, "messages": [{"role": "user", "content": "été"}]}
        for more in ({}, {"stream": True}):
            answer = await ada.client.post("/api/chat/completions", json=body | more)
            assert (answer.status_code, backend.seen[-1].body["model"]) == (200, "echo")
    answer = await ada.client.post("/api/chat/completions", json={"model": "absent.echo", "messages": []})
    assert (answer.status_code, "absent is down" in answer.json()["detail"]) == (404, True)


async def test_every_state_has_the_name_of_its_connection(desk: Desk) -> None:
    states = (await (await desk.client()).get("/ready")).json()["backends"]
    assert states == {"absent": False, "first": True, "second": True, "third": True, "local": True}
