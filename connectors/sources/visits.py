"""Pages visited while listing: remembered for the next run, their bytes kept for reading."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ragline.connectors.sources.fetched import Elsewhere, Fetched
from ragline.connectors.sources.look import LOOK_TIMEOUT_S, Page, look
from ragline.connectors.sources.page_names import HTML, suffix_of
from ragline.connectors.sources.protocol import Vanished
from ragline.connectors.sources.robots import Polite, Within
from ragline.connectors.sources.urls import shown

if TYPE_CHECKING:
    from ragline.connectors.workers import Workers

MAX_HTML_BYTES = 32 << 20
"""A longer page is taken whole: nothing looks into it for links or its main text."""
KEEP_BYTES = 512 << 20
"""Pages read while listing are kept for reading up to so many bytes in all; the rest are fetched again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer without its bytes: they are in `path`, unless that is None. `for_now`: by a temporary redirect."""

    url: str
    etag: str | None
    modified: str | None
    content_type: str = ""
    charset: str | None = None
    robots: str = ""
    size_bytes: int = 0
    for_now: bool = False
    path: Path | None = None

    @classmethod
    def of(cls, fetched: Fetched, path: Path | None = None) -> Kept:
        return cls(
            fetched.url,
            fetched.etag,
            fetched.last_modified,
            fetched.content_type,
            fetched.charset,
            robots=fetched.headers.get("x-robots-tag", ""),
            size_bytes=fetched.size_bytes,
            for_now=fetched.for_now,
            path=path,
        )

    def hints(self) -> dict[str, str | None]:
        return {"charset": self.charset, "robots": self.robots}


class Visits:
    """Pages visited while listing: what they said is remembered for the next run, their bytes are kept for reading."""

    def __init__(self, memory: Path, polite: Polite, workers: Workers) -> None:
        self._memory = memory
        self._polite = polite
        self._workers = workers
        self._known = _remembered(memory)
        self._seen: dict[str, Page] = {}
        self._kept: dict[str, Kept] = {}
        self._kept_bytes = 0
        self._numbers = count()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def any_known(self) -> bool:
        return bool(self._known)

    def known(self, url: str) -> Page | None:
        return self._known.get(url)

    def documents(self) -> list[Page]:
        """Return the documents of the last listing, each once."""
        documents = (page for page in self._known.values() if page.suffix is not None and page.index)
        return list({page.url: page for page in documents}.values())

    def kept(self, url: str) -> Kept | None:
        return self._kept.get(url)

    async def visit(self, url: str, *, within: Within | None = None) -> Page:
        """Return the page as it is now; one that is not the remembered one any more is kept for reading.

        Raises the errors of `Polite.get`, ParseFailed, and Elsewhere where a temporary redirect leads to another
        address than the remembered one.
        """
        known = self._known.get(url)
        if known is not None:
            self._seen[url] = known
        try:
            fetched = await self._get(url, known, within)
        except Vanished:
            self._seen.pop(url, None)
            raise
        with fetched:
            if fetched.status == 304 and known is not None:
                self._kept[known.url] = self._kept[url] = Kept(known.url, known.etag, known.modified)
                return known
            page = await self._looked_at(fetched)
            self._seen[url] = page
            self._seen.setdefault(page.url, page)
            if page.suffix is not None and self._kept_bytes + fetched.size_bytes <= KEEP_BYTES:
                self._kept[page.url] = self._kept[url] = await asyncio.to_thread(self._keep, fetched)
            return page

    def note(self, pages: Iterable[Page]) -> None:
        """Remember pages for the next listing without a visit."""
        self._seen.update({page.url: page for page in pages})

    def save(self, *, keep: bool = False) -> None:
        """Remember the pages visited for this listing for the next; `keep`: those of earlier ones too."""
        self._known = {**self._known, **self._seen} if keep else dict(self._seen)
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        part = self._memory.with_suffix(".part")
        part.write_text(json.dumps({url: asdict(page) for url, page in self._known.items()}), encoding="utf-8")
        os.replace(part, self._memory)

    def forget(self) -> None:
        """Let go of the bytes."""
        self._seen, self._kept, self._kept_bytes = {}, {}, 0
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _get(self, url: str, known: Page | None, within: Within | None) -> Fetched:
        """Ask for the page if it is not the remembered one; 304 only where it is."""
        if known is None:
            return await self._polite.get(url, within=within)
        fetched = await self._polite.get(url, etag=known.etag, modified=known.modified, within=within)
        if fetched.url == known.url:
            return fetched
        fetched.close()
        if fetched.for_now:
            raise Elsewhere(f"{shown(url)}: redirects for now to {shown(fetched.url)}; it was at {shown(known.url)}")
        return await self._polite.get(url, within=within)  # what is unchanged there may be another page

    async def _looked_at(self, fetched: Fetched) -> Page:
        answer = Kept.of(fetched)
        page = Page(fetched.url, suffix=suffix_of(fetched.url, fetched.content_type))
        if is_html(answer):
            content = fetched.body.read()
            page = await self._workers.run(look, content, fetched.url, **answer.hints(), timeout_s=LOOK_TIMEOUT_S)
            page.suffix = suffix_of(fetched.url, fetched.content_type)
        page.etag, page.modified = fetched.etag, fetched.last_modified
        return page

    def _keep(self, fetched: Fetched) -> Kept:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ragline-web-")
        path = Path(self._folder.name) / str(next(self._numbers))
        fetched.body.seek(0)
        with path.open("wb") as target:
            shutil.copyfileobj(fetched.body, target)
        self._kept_bytes += fetched.size_bytes
        return Kept.of(fetched, path)


def is_html(kept: Kept) -> bool:
    return kept.content_type in HTML and kept.size_bytes <= MAX_HTML_BYTES


def _remembered(memory: Path) -> dict[str, Page]:
    """Return what `save` wrote; a file that is damaged, or of another version, is as good as none."""
    try:
        return {url: Page(**page) for url, page in json.loads(memory.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
