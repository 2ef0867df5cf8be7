"""Source `web`: pages by their addresses, by a sitemap, or by following links."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from ragline.connectors.sources.crawl import Bounds, crawl
from ragline.connectors.sources.fetch import Fetcher
from ragline.connectors.sources.fetched import Elsewhere
from ragline.connectors.sources.globs import Globs
from ragline.connectors.sources.locations import credentials, locations, private_hosts, wrong_settings
from ragline.connectors.sources.look import LOOK_TIMEOUT_S, Page, look
from ragline.connectors.sources.main_text import main_text
from ragline.connectors.sources.page_names import KNOWN_SUFFIXES, own_suffix, path_of, paths_of
from ragline.connectors.sources.protocol import Entry, Read, Vanished
from ragline.connectors.sources.robots import Polite, Within
from ragline.connectors.sources.sitemap import sitemap_pages
from ragline.connectors.sources.urls import shown, site_of
from ragline.connectors.sources.visits import Kept, Visits, is_html
from ragline.errors import BadInput, Forbidden, ParseFailed, RaglineError, SetupError, Unavailable

if TYPE_CHECKING:
    from ragline.config.settings import Source as SourceSettings
    from ragline.connectors.workers import Workers


class Options(BaseModel):
    """What only `web` knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["pages", "sitemap", "crawl"] = Field(
        "pages", description="pages: the locations themselves; sitemap: what they list; crawl: and what they link to."
    )
    max_pages: int = Field(100, gt=0, description="New pages are taken until there are so many (crawl).")
    max_depth: int = Field(3, ge=0, description="Clicks from a location to a page at most (crawl).")
    same_host: bool = Field(True, description="Stay on the host of the location, also where a page redirects.")
    whole_host: bool = Field(False, description="Take pages above the folder of the location too (crawl).")
    delay_s: float = Field(0.5, ge=0, description="Pause between two requests to one host, in seconds.")
    timeout_s: float = Field(60.0, gt=0, description="Longest time one page may take, in seconds.")
    main_text: bool = Field(True, description="Keep the main text of a page only, without menus and footers.")


class WebSource:
    """Pages as documents. A page that does not answer now is listed all the same, so that it does not look deleted."""

    forgets: ClassVar[bool] = False
    """True where documents that are missing in a list have only left the list (a feed): a sync keeps them."""

    def __init__(
        self, settings: SourceSettings, options: Options, *, folder: Path, workers: Workers, max_bytes: int
    ) -> None:
        """Raise SetupError with the `problems` of the settings."""
        if problems := self.problems(settings, options):
            raise SetupError("\n".join(f"source {settings.name!r}: {problem}" for problem in problems))
        self._name = settings.name
        self._options = options
        self._starts = locations(settings)
        self._globs = Globs(settings.include, settings.exclude)
        self._not_excluded = Globs(("**",), settings.exclude)
        self._workers = workers
        self._fetcher = Fetcher(
            allow_private=settings.allow_private,
            timeout_s=options.timeout_s,
            max_bytes=max_bytes,
            private_hosts=private_hosts(settings),
            credentials=credentials(settings),
        )
        self._polite = Polite(self._fetcher, delay_s=options.delay_s)
        self._visits = Visits(folder / f"{options.mode}.json", self._polite, workers)

    @staticmethod
    def problems(settings: SourceSettings, options: BaseModel) -> list[str]:
        """Return what is wrong with the locations and secrets, told without network."""
        return list(wrong_settings(settings))

    async def fingerprint(self) -> str | None:
        """None: no site says cheaply that nothing changed."""
        return None

    async def entries(self) -> list[Entry]:
        """Return as the protocol says; raises Forbidden for a location that is not public or that robots.txt forbids.

        Tags are None: sites do not say reliably in their lists that a page changed; reading asks for the page itself.
        """
        self._polite.forget()
        self._visits.forget()
        try:
            match self._options.mode:
                case "pages":
                    found = [(url, await self._suffix(url)) for url in self._starts]
                    self._visits.save(keep=True)
                case "sitemap":
                    found = [(url, "") for url in await self._from_sitemaps()]
                case "crawl":
                    found = await self._crawl()
        except Forbidden as error:
            raise Forbidden(f"source {self._name!r}: {error}") from error
        except (RaglineError, OSError) as error:
            raise Unavailable(f"source {self._name!r} cannot be listed: {error}") from error
        taken = [Entry(path, url=url) for path, url in paths_of(found).items() if self._globs.take(path)]
        return sorted(taken, key=lambda entry: entry.path)

    async def read(self, entry: Entry, into: BinaryIO, *, known_tag: str | None = None) -> Read:
        """Return as the protocol says. Raises Disallowed (robots.txt) and ParseFailed (no reading its HTML) too.

        A page that redirects out of what is listed is Vanished if it does so for good, else Unavailable.
        """
        try:
            return await self._read(entry.url or "", into, known_tag)
        except OSError as error:
            raise Unavailable(f"source {self._name!r}: {entry.path!r} cannot be kept: {error}") from error

    async def close(self) -> None:
        self._polite.forget()
        self._visits.forget()
        await self._fetcher.close()

    async def _read(self, url: str, into: BinaryIO, known_tag: str | None) -> Read:
        known = _Tag.read(known_tag, main_text=self._options.main_text)
        kept = self._visits.kept(url)
        if kept is not None and kept.path is not None:
            with kept.path.open("rb") as body:
                return await self._write(body, kept, known, into)
        if kept is not None and known.validates(kept):
            return Read(known_tag, changed=False)
        etag, modified = known.etag, known.modified
        with await self._polite.get(url, etag=etag, modified=modified, within=self._within(url)) as fetched:
            if fetched.status == 304:
                return Read(known_tag, changed=False)
            return await self._write(fetched.body, Kept.of(fetched), known, into)

    def _within(self, url: str) -> Within | None:
        """Return which redirects of a listed page may be followed, so that no other page is taken for it."""
        if self._options.mode == "crawl":
            return lambda _: False  # it was listed by the address where redirects end
        if not self._options.same_host:
            return None
        sites = {site_of(one) for one in (url, *self._starts)}
        return lambda redirect: site_of(redirect.target) in sites

    async def _suffix(self, url: str) -> str:
        """Return the suffix of a listed page; where its address does not show it, the page is fetched for it, once.

        Without any memory, which may be lost, one that does not answer now raises its error: it may have had a suffix.
        """
        if own_suffix(url) in KNOWN_SUFFIXES:
            return own_suffix(url)
        known = self._visits.known(url)
        if known is None:
            try:
                known = await self._visits.visit(url, within=self._within(url))
            except (Vanished, BadInput, ParseFailed):
                return ""  # reading it fails as well, and says why
            except (Unavailable, Forbidden) as error:
                if self._visits.any_known:
                    return ""
                raise type(error)(
                    f"what a page is called is unknown until it answers once: {error}; "
                    "if it never does, take it out of location"
                ) from error
        return known.suffix or ".bin"

    async def _from_sitemaps(self) -> list[str]:
        starts: list[str] = []
        for start in self._starts:
            starts += await self._polite.sitemaps(start) if httpx.URL(start).path == "/" else [start]
        pages = await sitemap_pages(starts, self._polite, self._workers, self._visits)
        if self._options.same_host:
            sites = {site_of(url) for url in (*self._starts, *starts)}
            inside = [url for url in pages if site_of(url) in sites]
            if pages and not inside:
                raise BadInput(
                    f"the sitemap lists {len(pages)} pages, all of other hosts such as {site_of(pages[0])!r}; "
                    "set options.same_host = false to take them"
                )
            pages = inside
        taken = [url for url in pages if self._visits.known(url) is not None or await self._may_be_listed(url)]
        self._visits.note(Page(url, suffix="") for url in taken)
        await asyncio.to_thread(self._visits.save)
        return taken

    async def _may_be_listed(self, url: str) -> bool:
        try:
            return await self._polite.allowed(url)
        except Forbidden:
            return True  # its host may not be asked at all; reading it says why

    async def _crawl(self) -> list[tuple[str, str]]:
        options = self._options
        bounds = Bounds(options.max_pages, options.max_depth, options.same_host, options.whole_host)
        found = await crawl(
            self._starts, bounds, self._visits, skip=lambda url: not self._not_excluded.take(path_of(url, ""))
        )
        await asyncio.to_thread(self._visits.save)
        return [(url, page.suffix or "") for url, page in found.items()]

    async def _write(self, body: BinaryIO, kept: Kept, known: _Tag, into: BinaryIO) -> Read:
        """Write what a page brought, unless it is what the tag says is there already."""
        if is_html(kept):
            content = body.read()
            if self._options.mode == "sitemap":
                page = await self._workers.run(look, content, kept.url, **kept.hints(), timeout_s=LOOK_TIMEOUT_S)
                if not page.index and kept.for_now:
                    raise Elsewhere(f"{shown(kept.url)}: redirected to for now, asks not to be indexed")
                if not page.index:
                    raise Vanished(f"{shown(kept.url)}: the page asks not to be indexed")
            if self._options.main_text:
                charset = kept.charset
                content = await self._workers.run(main_text, content, charset=charset, timeout_s=LOOK_TIMEOUT_S)
            body = BytesIO(content)
        sha256 = await asyncio.to_thread(_sha256, body)
        tag = _Tag(kept.etag, kept.modified, sha256, self._options.main_text)
        if tag.sha256 == known.sha256:
            return Read(tag.written(), changed=False)
        body.seek(0)
        await asyncio.to_thread(shutil.copyfileobj, body, into)
        return Read(tag.written())


@dataclass(frozen=True, slots=True)
class _Tag:
    """What is remembered of a page that was read: how to ask whether it changed, and a digest where that fails."""

    etag: str | None = None
    modified: str | None = None
    sha256: str | None = None
    main_text: bool = True

    @classmethod
    def read(cls, tag: str | None, *, main_text: bool) -> _Tag:
        """Return the tag, an empty one where it says nothing of a page read with this option."""
        with suppress(ValueError, TypeError):
            found = cls(**json.loads(tag or "{}"))
            if found.main_text == main_text:
                return found
        return cls()

    def written(self) -> str:
        return json.dumps(asdict(self))

    def validates(self, kept: Kept) -> bool:
        return bool(self.etag or self.modified) and (self.etag, self.modified) == (kept.etag, kept.modified)


def _sha256(body: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := body.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
