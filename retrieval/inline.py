"""Documents that come with a chat and are stored nowhere: texts in the request, and pages fetched for it."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragline.app import App
from ragline.connectors.fetch import WebPage
from ragline.errors import TooLarge
from ragline.pipelines.names import MAX_NAME_CHARS
from ragline.pipelines.parse import content_type_of, document_text
from ragline.pipelines.read import read_document
from ragline.pipelines.reading import Options
from ragline.types import Element, Ref, TextRef, UrlRef

MAX_INLINE_CHARS = 500_000
"""Texts and pages of one chat together: to embed what such a text has takes some seconds, in every chat anew."""
TEXT_NAME = "text"
"""What a text without a name is called."""


@dataclass(frozen=True, slots=True)
class Inline:
    """A text or a page. `id` names it within this chat; `position` is that of its reference; `url` where it came from.

    `sha256` and `size_bytes` are of its text in UTF-8, `text` is that of `elements`.
    """

    id: str
    position: int
    name: str
    text: str
    elements: Sequence[Element]
    content_type: str
    size_bytes: int
    sha256: str
    url: str | None = None


async def read_inline(app: App, refs: Sequence[Ref]) -> list[Inline]:
    """Return what the references of type text and url stand for, in their order.

    Raises the errors of `Pages.get` and of `parse`, TooLarge.
    """
    given = sum(len(ref.content) for ref in refs if isinstance(ref, TextRef))
    check_chars(given)
    reading = [
        asyncio.create_task(inline(app, position, ref))
        for position, ref in enumerate(refs)
        if isinstance(ref, TextRef | UrlRef)
    ]
    try:
        found = [await task for task in reading]
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    check_chars(sum(len(document.text) for document in found))
    return found


async def inline(app: App, position: int, ref: TextRef | UrlRef) -> Inline:
    if isinstance(ref, TextRef):
        return made(position, ref.name or TEXT_NAME, [Element(ref.content)], "text/plain")
    with await app.pages.get(ref.url) as page:
        content_type, elements = await parsed(app, page)
    return made(position, ref.name or page.name, elements, content_type, url=page.url)


def made(position: int, name: str, elements: Sequence[Element], content_type: str, url: str | None = None) -> Inline:
    text, _ = document_text(elements)
    encoded = text.encode("utf-8", "replace")
    sha256 = hashlib.sha256(encoded).hexdigest()
    return Inline(
        id=f"inline-{position}-{sha256[:12]}",
        position=position,
        name=name,
        text=text,
        elements=elements,
        content_type=content_type,
        size_bytes=len(encoded),
        sha256=sha256,
        url=url,
    )


async def parsed(app: App, page: WebPage) -> tuple[str, Sequence[Element]]:
    """Return the type of a page and what is in it, read in a worker as uploads are."""
    name = page.name[-MAX_NAME_CHARS:]
    content_type = await asyncio.to_thread(content_type_of, name, page.body)
    options = Options.of(app.settings.parsing)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, None, "ragline-page-"))
    try:
        await asyncio.to_thread(write, page.body, folder / "page")
        found = await read_document(
            app.workers, app.settings.parsing, folder / "page", name, content_type, options=options
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return content_type, found.elements


def write(body: BinaryIO, path: Path) -> None:
    body.seek(0)
    with path.open("wb") as target:
        shutil.copyfileobj(body, target)


def check_chars(characters: int) -> None:
    if characters > MAX_INLINE_CHARS:
        raise TooLarge(
            f"the texts and pages in `files` have {characters} characters or more, and {MAX_INLINE_CHARS} are allowed "
            "in one chat; upload them as files and refer to those"
        )
