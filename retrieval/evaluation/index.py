"""The index of a BEIR set: its documents cut, embedded and stored as the product does it, and kept for the next run.

It is a small installation in the data folder, `eval/index/<key>`: without records of files, and without their bytes.
The key is made of the documents and of everything that passages and vectors depend on. Vectors of texts are kept apart
from it, for all indexes: another k1 or another length of passages does not embed again what stays the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pydantic import SecretStr

from ragline import __version__
from ragline.app import App, open_app, prepare_folder
from ragline.config.settings import Blobs, Database, Settings, Vectors
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.vectors.bm25 import analysis, passage_vector
from ragline.connectors.vectors.protocol import Point
from ragline.pipelines.chunking.embedded import passages_of, text_to_embed
from ragline.pipelines.embed import embed_once
from ragline.retrieval.evaluation.sets import Document, QuestionSet
from ragline.types import Chunk, Element, Passage, SparseVector

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and how much there is."""

READY = "index.json"
"""Written last: an index without it is not whole."""
KEPT = 8
"""Indexes that are kept, those used last."""
TOGETHER = 64
"""Documents that are cut, embedded and stored together."""
PUBLISHED = "evaluated"
"""The one version of everything in an index."""
PROBE = "L’été 2024, les pompes ZP-8841 coûtaient 1 234,56 €. The pumps' valves were opening at 9 bar."
"""Passages analysed in another way have another vector of this."""


@asynccontextmanager
async def open_index(
    settings: Settings, chosen: QuestionSet, *, progress: Progress, rebuild: bool = False
) -> AsyncIterator[App]:
    """Open the index of a set, made first where there is none, as an App whose store has its passages.

    Raises SetupError where another process has it open.
    """
    home = prepare_folder(settings.data_dir) / "eval"
    folder = home / "index" / key_of(settings, chosen)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (settings.data_dir.resolve() / "models").mkdir(exist_ok=True, mode=0o700)
    with suppress(OSError):  # it is there; where links are not allowed, the model is built once more
        (folder / "models").symlink_to(settings.data_dir.resolve() / "models", target_is_directory=True)
    async with open_app(alone(settings, home, folder)) as app:
        if rebuild or not (folder / READY).is_file():
            await forget(app, chosen.documents)
            count = await build(app, chosen.documents, progress)
            about = {"set": chosen.name, "documents": len(chosen.documents), "passages": count}
            (folder / READY).write_text(json.dumps(about), encoding="utf-8")
        os.utime(folder / READY)
        await asyncio.to_thread(drop_old, home / "index", folder)
        yield app


async def forget(app: App, documents: Sequence[Document]) -> None:
    """Delete what is there of an index, its mark first: a crash leaves none that looks whole."""
    (app.settings.data_dir / READY).unlink(missing_ok=True)
    await app.vectors.delete_files([document.id for document in documents])
    for kept in app.settings.data_dir.glob("calibration-*.json"):
        kept.unlink()


def alone(settings: Settings, home: Path, folder: Path) -> Settings:
    """Return the settings of the small installation: the engine in this process, and records of embedded texts only."""
    return settings.model_copy(
        update={
            "data_dir": folder,
            "database": Database(url=SecretStr(f"sqlite+aiosqlite:///{home / 'embedded.db'}")),
            "blobs": Blobs(),
            "vectors": Vectors(),
            "sources": (),
            "evaluations": (),
        }
    )


def key_of(settings: Settings, chosen: QuestionSet) -> str:
    """Return the name of the folder: readable, and another one for whatever changes passages or vectors."""
    analysed = [sparse_of(settings, PROBE, language) for language in ("fr", "en")]
    parts = (
        __version__,
        chosen.corpus,
        settings.embedder.model_dump_json(exclude={"threads", "batch_size", "api_key", "timeout_s"}),
        settings.chunking.model_dump_json(),
        analysis(settings.retrieval.bm25_k1, settings.retrieval.bm25_b),
        *map(repr, analysed),
    )
    name = "".join(sign if sign.isalnum() else "-" for sign in chosen.name.lower())[:40]
    return f"{name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"


def sparse_of(settings: Settings, text: str, language: str) -> SparseVector:
    """Return the words of a passage as these settings weigh them."""
    return passage_vector(text, language, k1=settings.retrieval.bm25_k1, b=settings.retrieval.bm25_b)


async def build(app: App, documents: Sequence[Document], progress: Progress) -> int:
    """Cut, embed and store all documents, part by part; return the number of passages."""
    count = 0
    progress("embed", 0, len(documents))
    for start in range(0, len(documents), TOGETHER):
        part = documents[start : start + TOGETHER]
        passages = await asyncio.to_thread(cut, app, part)
        vectors: dict[str, Matrix] = {}
        async for some in embed_once(app, [text for *_, text in passages]):
            vectors |= some
        await app.vectors.stage(await asyncio.to_thread(points_of, app, passages, vectors), version=PUBLISHED)
        for document in part:
            await app.vectors.publish(document.id, version=PUBLISHED)
        count += len(passages)
        progress("embed", start + len(part), len(documents))
    return count


def cut(app: App, documents: Sequence[Document]) -> list[tuple[Document, Chunk, str]]:
    """Return the passages of documents, with what is embedded of each. A title stands above its text."""
    passages: list[tuple[Document, Chunk, str]] = []
    for document in documents:
        whole = [Element(document.title, "title", 1), Element(document.text)]
        elements = [element for element in whole if element.text.strip()]
        if elements:
            chunks, texts = passages_of(elements, "", settings=app.settings.chunking, embedder=app.embedder)
            passages += [(document, chunk, text) for chunk, text in zip(chunks, texts, strict=True)]
    return passages


def points_of(app: App, passages: Sequence[tuple[Document, Chunk, str]], vectors: Mapping[str, Matrix]) -> list[Point]:
    return [point_of(app, document, chunk, vectors[text].tolist()) for document, chunk, text in passages]


def point_of(app: App, document: Document, chunk: Chunk, vector: Sequence[float]) -> Point:
    id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{document.id}\0{chunk.index}"))
    passage = Passage(id, document.id, PUBLISHED, "", document.title or document.id, chunk)
    sparse = sparse_of(app.settings, text_to_embed(chunk, ""), chunk.language)
    return Point(passage=passage, collection_ids=[], dense=vector, sparse=sparse)


def drop_old(home: Path, current: Path) -> None:
    """Delete the indexes that were used before the last KEPT; one in use was used just now."""
    used = sorted(home.glob(f"*/{READY}"), key=lambda ready: ready.stat().st_mtime, reverse=True)
    for ready in used[KEPT:]:
        if ready.parent != current and time.time() - ready.stat().st_mtime > 86_400:
            shutil.rmtree(ready.parent, ignore_errors=True)
