"""What `ragline check` looks at where documents are stored, embedded and parsed: one finding a part."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx

from ragline.errors import RaglineError

if TYPE_CHECKING:
    from ragline.config.settings import Settings
    from ragline.connectors.embedders.protocol import Embedder
    from ragline.running import Running

LIMIT_S = 60.0
"""Longest time that one part may take to be looked at."""
ANSWER_S = 5.0
NOT_YET = "none yet: `ragline serve` makes it"
PROBE = "La vérification d'un texte / checking a text."

State = Literal["ok", "note", "FAILS"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How a part is. `note`: it does not work, or is not there, and nobody asked for it."""

    part: str
    state: State
    said: str


@dataclass(frozen=True, slots=True)
class Place:
    """What is checked: the settings, which of them somebody gave, and the server that has the data folder open."""

    settings: Settings
    given: frozenset[str]
    running: Running | None

    @property
    def installed(self) -> bool:
        return self.settings.data_dir.is_dir()

    def problem(self, part: str, said: str, *settings: str) -> Finding:
        """Return a failure where somebody gave one of these settings, else a note."""
        return Finding(part, "FAILS" if self.given.intersection(settings) else "note", said)


Check = Callable[[Place], Awaitable[Iterable[Finding]]]


async def looked(part: str, check: Check, place: Place) -> list[Finding]:
    """Return what a check finds; whatever it raises is a failure of its part."""
    try:
        async with asyncio.timeout(LIMIT_S):
            return [*await check(place)]
    except TimeoutError:
        return [Finding(part, "FAILS", f"no answer within {LIMIT_S:g} s")]
    except RaglineError as error:
        return [Finding(part, "FAILS", "; ".join(str(error).splitlines()))]
    except Exception as error:  # noqa: BLE001  # a library of any part: the others are looked at all the same
        return [Finding(part, "FAILS", f"{type(error).__name__}: {error}")]


async def data_folder(place: Place) -> list[Finding]:
    folder = place.settings.data_dir.resolve()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return [Finding("data folder", "FAILS", f"{there} cannot be written by this user (data_dir)")]
    free = f"{shutil.disk_usage(there).free / (1 << 30):.1f} GiB free"
    if not place.installed:
        return [Finding("data folder", "note", f"{folder}: {NOT_YET}; {free}")]
    used = f", in use by the running server at {place.running.url}" if place.running else ""
    return [Finding("data folder", "ok", f"{folder}, {free}{used}")]


async def records(place: Place) -> list[Finding]:
    from ragline.connectors.records.store import open_records

    settings = place.settings.database
    if settings.url is None and not (place.settings.data_dir / "ragline.db").exists():
        return [Finding("records", "note", f"SQLite, {NOT_YET}")]
    opened = await open_records(settings, data_dir=place.settings.data_dir.resolve())
    try:
        await opened.check()
        kind = opened.engine.dialect.name
        admin = "" if await opened.users.first_admin() is not None else ", no administrator yet"
    finally:
        await opened.close()
    return [Finding("records", "ok", f"{kind} answers{admin}")]


async def blobs(place: Place) -> list[Finding]:
    """Write a few bytes, read them, and delete them."""
    from ragline.connectors.blobs import open_blobs

    if place.settings.blobs.url is None and not place.installed:
        return [Finding("blobs", "note", f"a folder, {NOT_YET}")]
    store = open_blobs(place.settings.blobs, data_dir=place.settings.data_dir)
    key = f"files/check-{uuid.uuid4().hex}"
    try:
        await store.put(key, io.BytesIO(PROBE.encode()))
        read = await store.get(key)
    finally:
        await store.delete(key)
    if read != PROBE.encode():
        return [Finding("blobs", "FAILS", "what was written was read back as something else (blobs.url)")]
    return [Finding("blobs", "ok", "written, read and deleted")]


async def embedder(place: Place) -> list[Finding]:
    """Embed a sentence, and open the vectors, which belong to the model."""
    from ragline.connectors.embedders import open_embedder

    settings = place.settings
    if settings.embedder.kind == "packaged" and not place.installed:
        said = f"{settings.embedder.model}, built at the first start"
        return [Finding("embedder", "note", said), *await vectors(place, None)]
    opened = await open_embedder(settings.embedder, folder=settings.data_dir.resolve() / "models")
    try:
        await opened.embed_query(PROBE)
        began = time.monotonic()
        await opened.embed_query(PROBE)
        took_ms = (time.monotonic() - began) * 1000
        said = f"{opened.model_id}, {opened.dimension} dimensions, {took_ms:.0f} ms a question"
        await refuse_mixing_in(place, opened)
        found = await looked("vectors", lambda one: vectors(one, (opened.model_id, opened.dimension)), place)
        return [Finding("embedder", "ok", said), *found]
    finally:
        await opened.close()


async def refuse_mixing_in(place: Place, embedder: Embedder) -> None:
    """Raise SetupError where the passages that are stored were made with another model."""
    from ragline.connectors.made import making, refuse_mixing
    from ragline.connectors.records.store import open_records

    if place.settings.database.url is None and not (place.settings.data_dir / "ragline.db").exists():
        return
    opened = await open_records(place.settings.database, data_dir=place.settings.data_dir.resolve())
    try:
        if (made := await opened.facts.made()) is not None and (files := await opened.facts.answering()):
            refuse_mixing(made, making(place.settings, embedder), files=files)
    finally:
        await opened.close()


async def reranker(place: Place) -> list[Finding]:
    """Have it compare two passages; the model of a folder is loaded first."""
    from ragline.connectors.rerankers import open_reranker

    settings = place.settings.reranker
    opened = await open_reranker(settings)
    if opened is None:
        return [Finding("reranker", "ok", "none (reranker.kind)")]
    try:
        await opened.warm()
        began = time.monotonic()
        await opened.rank("Que vérifie-t-on ?", [PROBE, "Une pompe / a pump."])
        took_ms = (time.monotonic() - began) * 1000
    finally:
        await opened.close()
    return [Finding("reranker", "ok", f"{opened.name} reads, {took_ms:.0f} ms for two short passages")]


async def vectors(place: Place, model: tuple[str, int] | None) -> list[Finding]:
    """Ask the server, or open the folder: beside a running server that one has it open, and is asked instead."""
    settings = place.settings.vectors
    if settings.url is not None:
        return [await qdrant(settings.url, settings.api_key.get_secret_value() if settings.api_key else None)]
    if place.running is not None:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_S) as client:
            answer = await client.get(f"{place.running.url}/ready")
        if answer.is_success:
            return [Finding("vectors", "ok", "in use by the running server, which is ready")]
        return [Finding("vectors", "FAILS", f"in use by the running server, which answers {answer.status_code}")]
    from ragline.connectors.vectors import layout, open_vectors

    folder = place.settings.data_dir.resolve() / "vectors"
    if model is None or not (folder / layout.store_name(model[0])).exists():
        return [Finding("vectors", "note", f"in this process, {NOT_YET}")]
    store = await open_vectors(settings, folder=folder, model_id=model[0], dimension=model[1])
    await store.close()
    return [Finding("vectors", "ok", "in this process, can be opened")]


async def qdrant(url: str, api_key: str | None) -> Finding:
    headers = {"api-key": api_key} if api_key else {}
    try:
        async with httpx.AsyncClient(timeout=ANSWER_S, headers=headers) as client:
            answer = await client.get(f"{url.rstrip('/')}/collections")
            stored = len(answer.json()["result"]["collections"]) if answer.is_success else 0
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return Finding("vectors", "FAILS", f"no Qdrant answers at vectors.url: {error or type(error).__name__}")
    if not answer.is_success:
        return Finding("vectors", "FAILS", f"Qdrant answers {answer.status_code}: look at vectors.url and its api_key")
    return Finding("vectors", "ok", f"Qdrant answers, collections: {stored}")


async def parser(place: Place) -> list[Finding]:
    """Have a worker process read a small document."""
    from ragline.connectors.workers import Workers
    from ragline.pipelines.parse import parse
    from ragline.pipelines.reading import Options

    workers = Workers(place.settings.parsing)
    with tempfile.TemporaryDirectory(prefix="ragline-check-") as folder:
        path = Path(folder) / "vérification.md"
        path.write_text(f"# Titre\n\n{PROBE}\n", encoding="utf-8")
        try:
            found = await workers.run(
                parse,
                path,
                path.name,
                "text/markdown",
                options=Options.of(place.settings.parsing),
                timeout_s=place.settings.parsing.time_limit_s,
            )
            walls = await workers.walls()
        finally:
            await workers.close()
    if PROBE not in [element.text for element in found.elements]:
        return [Finding("parser", "FAILS", "a worker read something else than what was written")]
    said = f"a worker process reads, {walls}; parsing.workers = {place.settings.parsing.workers}"
    return [Finding("parser", "ok", said)]
