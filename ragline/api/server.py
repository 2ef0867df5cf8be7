"""Puts the endpoints together over an open App."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ragline.api import (
    audit,
    auth,
    chat,
    embeddings,
    evaluating,
    events,
    explaining,
    files,
    knowledge,
    messages,
    meta,
    models,
    ollama,
    openai_proxy,
    passages,
    retrieval,
    searching,
    users,
    v1,
)
from ragline.api.doorkeeper import Doorkeeper
from ragline.api.errors import handle_errors
from ragline.api.eventlog import EventLog, kept_for
from ragline.api.sessions import Sessions
from ragline.api.signing import Signing
from ragline.api.tolerant import Tolerant
from ragline.app import App
from ragline.types import User

ROOMS = (
    chat,
    meta,
    auth,
    users,
    events,
    models,
    messages,
    embeddings,
    ollama,
    openai_proxy,
    files,
    passages,
    knowledge,
    retrieval,
    evaluating,
    searching,
    explaining,
    audit,
    v1,
)
"""The parts of the API in the order in which their routes are looked at: chats first, the most frequent."""


def create_api(app: App, *, admin: User, runs_url: str | None = None) -> FastAPI:
    """Return the ASGI application. `admin` is who everybody is while auth is off; `runs_url` is Prefect's UI."""
    api = empty_api(app)
    api.state.app = app
    api.state.admin = admin
    api.state.runs_url = runs_url
    api.state.sessions = Sessions.of(app.settings)
    api.state.signing = Signing(app.settings.auth)
    api.state.events = EventLog(app.records.events) if app.settings.events.enabled else None
    for room in ROOMS:
        api.include_router(room.router)
    handle_errors(api)
    limits = app.settings.server
    api.add_middleware(Doorkeeper, max_upload_bytes=limits.max_upload_bytes, max_json_bytes=limits.max_json_bytes)
    api.add_middleware(Tolerant)
    return api


@asynccontextmanager
async def events_written(api: FastAPI) -> AsyncIterator[None]:
    """Delete old events for the length of the block, and write out what is left at its end."""
    app: App = api.state.app
    async with kept_for(app.records.events, app.settings.events.keep_days):
        try:
            yield
        finally:
            if api.state.events is not None:
                await api.state.events.close()


def empty_api(app: App) -> FastAPI:
    if app.settings.env != "dev":
        return FastAPI(openapi_url=None, redirect_slashes=False)
    from ragline.api.description import described

    return described()
