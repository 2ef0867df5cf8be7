"""Source `feed`: the items of RSS and Atom feeds, each a document."""

from __future__ import annotations

import asyncio
import hashlib
import html
import io
import json
import logging
import shutil
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ragline.connectors.sources.fetch import Fetcher
from ragline.connectors.sources.fetched import Fetched, Refused
from ragline.connectors.sources.globs import Globs
from ragline.connectors.sources.locations import credentials, locations, private_hosts, wrong_settings
from ragline.connectors.sources.look import LOOK_TIMEOUT_S
from ragline.connectors.sources.main_text import main_text
from ragline.connectors.sources.page_names import HTML, path_of
from ragline.connectors.sources.protocol import Entry, Read, Vanished
from ragline.connectors.sources.robots import Disallowed, Polite
from ragline.connectors.sources.urls import parse_url, shown
from ragline.connectors.sources.visits import MAX_HTML_BYTES
from ragline.errors import BadInput, Forbidden, RaglineError, SetupError, Unavailable

if TYPE_CHECKING:
    from ragline.config.settings import Source as SourceSettings
    from ragline.connectors.workers import Workers

log = logging.getLogger(__name__)

MAX_FEED_BYTES = 32 << 20
PDF = "application/pdf"


class Options(BaseModel):
    """What only `feed` knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    full_text: bool = Field(True, description="Take the main text of the page an item links to; off: the item's own.")
    delay_s: float = Field(0.5, ge=0, description="Pause between two requests to one host, in seconds.")
    timeout_s: float = Field(60.0, gt=0, description="Longest time one page may take, in seconds.")


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a feed. `id` is its own or else its link; `link` is absolute, "" without; `content` is HTML."""

    id: str
    link: str
    title: str
    updated: str
    content: str

    @property
    def tag(self) -> str:
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()


class FeedSource:
    """Items as documents. What has scrolled out of a feed is not deleted, it is only not listed any more."""

    forgets: ClassVar[bool] = True
    """A sync keeps the documents that are missing in a list."""

    def __init__(
        self, settings: SourceSettings, options: Options, *, folder: Path, workers: Workers, max_bytes: int
    ) -> None:
        """Raise SetupError with the `problems` of the settings. `folder` is not used: feeds are short."""
        if problems := self.problems(settings, options):
            raise SetupError("\n".join(f"source {settings.name!r}: {problem}" for problem in problems))
        self._name = settings.name
        self._options = options
        self._feeds = locations(settings)
        self._globs = Globs(settings.include, settings.exclude)
        self._workers = workers
        self._fetcher = Fetcher(
            allow_private=settings.allow_private,
            timeout_s=options.timeout_s,
            max_bytes=max_bytes,
            private_hosts=private_hosts(settings),
            credentials=credentials(settings),
        )
        self._polite = Polite(self._fetcher, delay_s=options.delay_s)
        self._items: dict[str, Item] | None = None

    @staticmethod
    def problems(settings: SourceSettings, options: BaseModel) -> list[str]:
        """Return what is wrong with the locations and secrets, told without network."""
        return list(wrong_settings(settings))

    async def fingerprint(self) -> str | None:
        """None: the feed itself is the cheapest that a site offers."""
        return None

    async def entries(self) -> list[Entry]:
        """Return the items of all feeds; a tag changes with what the feed says of the item, not with its page."""
        self._polite.forget()
        items: dict[str, Item] = {}
        for feed in self._feeds:
            try:
                found = await self._read_feed(feed)
            except Forbidden as error:
                raise Forbidden(f"source {self._name!r}: {error}") from error
            except RaglineError as error:
                raise Unavailable(f"source {self._name!r} cannot be listed: {error}") from error
            for item in found:
                items.setdefault(_path_of(item, feed), item)  # newest first: an id given twice means its newest
        self._items = items
        taken = [path for path in sorted(items) if self._globs.take(path)]
        return [Entry(path, items[path].tag, url=items[path].link or None) for path in taken]

    async def read(self, entry: Entry, into: BinaryIO, *, known_tag: str | None = None) -> Read:
        """Return as the protocol says; an item whose page is closed to us or gone is read from the feed itself."""
        if self._items is None:
            await self.entries()
        item = (self._items or {}).get(entry.path)
        if item is None:
            raise Vanished(f"source {self._name!r}: {entry.path!r} is not in the feed any more")
        if item.tag == known_tag:
            return Read(known_tag, changed=False)
        try:
            if not (self._options.full_text and item.link and await self._read_page(item, into)):
                into.write(written(item))
        except OSError as error:
            raise Unavailable(f"source {self._name!r}: {entry.path!r} cannot be kept: {error}") from error
        return Read(item.tag)

    async def close(self) -> None:
        self._polite.forget()
        await self._fetcher.close()

    async def _read_feed(self, url: str) -> list[Item]:
        """A feed was made for readers like this one and its address is the user's choice: robots.txt is not asked."""
        with await self._fetcher.get(url, max_bytes=MAX_FEED_BYTES) as fetched:
            headers = {"content-type": fetched.headers.get("content-type", ""), "content-location": fetched.url}
            content = fetched.body.read()
        try:
            return await self._workers.run(items_of, content, headers, timeout_s=LOOK_TIMEOUT_S)
        except BadInput as error:
            raise BadInput(f"{shown(url)}: {error}") from error

    async def _read_page(self, item: Item, into: BinaryIO) -> bool:
        """Write the page that an item links to; False where the item's own text must do."""
        try:
            fetched = await self._polite.get(item.link)
        except (Vanished, Refused, Disallowed, BadInput) as error:
            log.info("feed item is taken without its page: %s", error)
            return False
        with fetched:
            return await self._write(fetched, into)

    async def _write(self, fetched: Fetched, into: BinaryIO) -> bool:
        if fetched.content_type == PDF:
            await asyncio.to_thread(shutil.copyfileobj, fetched.body, into)
        elif fetched.content_type in HTML and fetched.size_bytes <= MAX_HTML_BYTES:
            content = fetched.body.read()
            charset = fetched.charset
            into.write(await self._workers.run(main_text, content, charset=charset, timeout_s=LOOK_TIMEOUT_S))
        else:
            return False
        return True


def items_of(content: bytes, headers: dict[str, str]) -> list[Item]:
    """Return the items of a feed in its order. Raises BadInput for what is no feed. Runs in a worker process.

    A feed with faults gives the items that can be read: nothing is deleted because of those that cannot.
    """
    import feedparser  # type: ignore[import-untyped]  # has no types

    # Only a stream is sure not to be taken for an address or the name of a file.
    feed = feedparser.parse(io.BytesIO(content), response_headers=headers)
    if not feed.get("version") and not feed.entries:
        raise BadInput(f"it is neither RSS nor Atom: {feed.get('bozo_exception', 'no feed in it')}")
    return [item for item in map(_item, feed.entries) if item.id]


def written(item: Item) -> bytes:
    """Return the item's own text as an HTML document in UTF-8, with its title above it."""
    title = html.escape(item.title)
    heading = f"<h1>{title}</h1>\n" if title else ""
    head = f'<head><meta charset="utf-8"><title>{title}</title></head>'
    return f"<!DOCTYPE html>\n<html>{head}<body>{heading}{item.content}</body></html>\n".encode("utf-8", "replace")


def _item(entry: dict[str, object]) -> Item:
    link = str(entry.get("link") or "")
    title = " ".join(html.unescape(str(entry.get("title") or "")).split())
    content = _content(entry)
    try:
        link = str(parse_url(link))
    except BadInput:
        link = ""
    own = str(entry.get("id") or link or hashlib.sha256(f"{title}\n{content}".encode("utf-8", "replace")).hexdigest())
    # Asked for by `get`, `updated` would be feedparser's stand-in for it where there is none.
    updated = entry["updated"] if "updated" in entry else entry.get("published")
    return Item(own, link, title, str(updated or ""), content)


def _content(entry: dict[str, object]) -> str:
    """Return the longest text of the entry as HTML: feeds put the whole of it here or there."""
    parts = entry.get("content")
    found = [*(parts if isinstance(parts, list) else []), entry.get("summary_detail")]
    texts = [
        f"<p>{html.escape(part['value'])}</p>" if part.get("type") == "text/plain" else str(part["value"])
        for part in found
        if isinstance(part, dict) and part.get("value")
    ]
    return max(texts, key=len, default="")


def _path_of(item: Item, feed: str) -> str:
    """Return a name that stays when the rest of the feed changes: of the link, and of the id where that is another."""
    path = path_of(item.link or feed, ".html")
    if item.link and item.id == item.link:
        return path
    digest = hashlib.sha256(item.id.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{path.removesuffix('.html')}~{digest}.html"
