"""The one place where settings become objects: every other module is handed what it needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from ragline.config.settings import Settings
from ragline.connectors.blobs import Blobs, open_blobs
from ragline.connectors.embedders import open_embedder
from ragline.connectors.embedders.protocol import Embedder
from ragline.connectors.embedders.remembered import Remembered
from ragline.connectors.fetch import Pages
from ragline.connectors.made import check_made, making, other_model
from ragline.connectors.models.embedded import EmbeddedBackend
from ragline.connectors.models.embedded_ollama import EmbeddedOllama
from ragline.connectors.models.extractive import Extractive
from ragline.connectors.models.forward import OllamaRoute
from ragline.connectors.models.function_loader import FunctionLoader
from ragline.connectors.models.functions import FunctionsBackend
from ragline.connectors.models.ollama import OllamaBackend
from ragline.connectors.models.openai import OpenAIBackend
from ragline.connectors.models.protocol import ModelBackend
from ragline.connectors.models.registry import ModelRegistry
from ragline.connectors.records.store import Records, open_records
from ragline.connectors.rerankers import open_reranker
from ragline.connectors.rerankers.guarded import Guarded
from ragline.connectors.sources.registry import check_source
from ragline.connectors.vectors import open_vectors
from ragline.connectors.vectors.protocol import VectorStore
from ragline.connectors.workers import Workers
from ragline.errors import BackendError, SetupError, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where documents are kept, without what makes them searchable: many processes may have them open."""

    settings: Settings
    records: Records
    blobs: Blobs


class Locks:
    """A lock for each file that somebody works on: what is stored of it is changed by one task at a time."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, file_id: str) -> asyncio.Lock:
        """Return the lock of a file, the same one as long as anybody holds it."""
        return self._locks.setdefault(file_id, asyncio.Lock())


@dataclass(frozen=True, slots=True, kw_only=True)
class App(Stores):
    """Everything one installation needs to ingest and to answer. Close it through `open_app`.

    `embedded_ollama` answers Ollama's routes where no Ollama does.
    """

    embedder: Embedder
    vectors: VectorStore
    workers: Workers
    pages: Pages
    models: ModelRegistry
    embedded_ollama: OllamaRoute
    reranker: Guarded | None = None
    locks: Locks = field(default_factory=Locks)


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open records and bytes for the length of the block, also beside a running server. Raises SetupError."""
    check_sources(settings)
    data_dir = prepare_folder(settings.data_dir)
    records = await open_records(settings.database, data_dir=data_dir)
    try:
        yield Stores(settings=settings, records=records, blobs=open_blobs(settings.blobs, data_dir=data_dir))
    finally:
        await records.close()


@asynccontextmanager
async def open_app(settings: Settings, *, moving: bool = False) -> AsyncIterator[App]:
    """Open an installation for the length of the block.

    Raises SetupError where the data folder cannot be written, another process uses it, or a service is not there; and
    where its passages were made with another embedding model, unless they are `moving` to this one.
    """
    check_sources(settings)
    data_dir = prepare_folder(settings.data_dir)
    async with AsyncExitStack() as stack:
        records = await open_records(settings.database, data_dir=data_dir)
        stack.push_async_callback(records.close)
        try:
            embedder = Remembered(await open_embedder(settings.embedder, folder=data_dir / "models"))
        except (BackendError, Unavailable) as error:
            raise type(error)(f"{error}{await other_model(settings.embedder, records)}") from error
        stack.push_async_callback(embedder.close)
        if not moving:
            await check_made(settings, records, making(settings, embedder), folder=data_dir / "vectors")
        vectors = await open_vectors(
            settings.vectors, folder=data_dir / "vectors", model_id=embedder.model_id, dimension=embedder.dimension
        )
        stack.push_async_callback(vectors.close)
        workers = Workers(settings.parsing, home=data_dir)
        stack.push_async_callback(workers.close)
        pages = Pages(workers, max_bytes=settings.server.max_upload_bytes)
        stack.push_async_callback(pages.close)
        embedded = EmbeddedBackend(embedded_name(settings), data_dir / "models", settings.embedded_models)
        stack.push_async_callback(embedded.close)
        models = open_models(settings, embedded)
        stack.push_async_callback(models.close)
        reranker = await guarded(settings)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        blobs = open_blobs(settings.blobs, data_dir=data_dir)
        ollama = EmbeddedOllama(
            embedded, embedder, aliases=settings.models.aliases, embedding_name=settings.embedder.model
        )
        yield App(
            settings=settings,
            records=records,
            blobs=blobs,
            embedder=embedder,
            vectors=vectors,
            workers=workers,
            pages=pages,
            models=models,
            embedded_ollama=ollama,
            reranker=reranker,
        )


async def guarded(settings: Settings) -> Guarded | None:
    """Return the reranker of the settings, if any. Raises SetupError."""
    opened = await open_reranker(settings.reranker)
    return None if opened is None else Guarded(opened, timeout_s=settings.reranker.timeout_s)


def open_models(settings: Settings, embedded: EmbeddedBackend) -> ModelRegistry:
    """Return the back ends in the order of the settings."""
    chosen = settings.models
    backends: list[ModelBackend] = []
    for connection in chosen.connections:
        match connection.kind:
            case "ollama":
                backends.append(OllamaBackend(connection))
            case "openai":
                backends.append(OpenAIBackend(connection))
            case "embedded":
                backends.append(embedded)
            case "functions":
                loader = FunctionLoader(chosen.functions_dir)
                functions = FunctionsBackend(
                    connection.name, [Extractive()], loader=loader, timeout_s=connection.timeout_s
                )
                backends.append(functions)
    return ModelRegistry(
        backends,
        aliases=chosen.aliases,
        list_ttl_s=chosen.list_ttl_s,
        list_timeout_s=chosen.list_timeout_s,
        prefixes={connection.name: connection.prefix for connection in chosen.connections if connection.prefix},
    )


def embedded_name(settings: Settings) -> str:
    """Return what the connection to the models of this process is called."""
    return next((each.name for each in settings.models.connections if each.kind == "embedded"), "embedded")


def check_sources(settings: Settings) -> None:
    """Raise SetupError, a line a problem, for sources that could never be read: an unknown kind, a wrong pattern."""
    if problems := [problem for source in settings.sources for problem in check_source(source)]:
        raise SetupError("\n".join(problems))


def prepare_folder(folder: Path) -> Path:
    """Make the data folder, readable by its owner only. Raises SetupError when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(f"cannot make the data folder {str(folder)!r} (data_dir): {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SetupError(f"the data folder {str(folder)!r} (data_dir) cannot be written by this user")
    return folder.resolve()
