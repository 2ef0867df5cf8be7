"""Following the links of a site, breadth first and within bounds."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from ragline.connectors.sources.fetched import Refused
from ragline.connectors.sources.look import Page
from ragline.connectors.sources.protocol import Vanished
from ragline.connectors.sources.urls import shown
from ragline.errors import BadInput, Forbidden, ParseFailed, RaglineError, TooLarge, Unavailable

log = logging.getLogger(__name__)


class Visited(Protocol):
    """How a crawl comes by its pages."""

    def known(self, url: str) -> Page | None:
        """Return the page as an earlier crawl saw it."""

    @property
    def any_known(self) -> bool:
        """True if an earlier crawl came to its end."""

    async def visit(self, url: str, *, within: Callable[[str], bool] | None = None) -> Page:
        """Return the page as it is now. Raises the errors of `Polite.get`, and ParseFailed."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a crawl goes: pages fetched, clicks from a start, whether it leaves the host or the start's folder."""

    max_pages: int
    max_depth: int
    same_host: bool
    whole_host: bool


async def crawl(
    starts: Sequence[str], bounds: Bounds, visited: Visited, *, skip: Callable[[str], bool]
) -> dict[str, Page]:
    """Return the documents reached from `starts` by their final address, breadth first; `skip` are not visited.

    A start that fails raises its error. Another page that fails is listed nonetheless, with the links it had in the
    last crawl; where there was none, so that nobody knows what lies behind it, the crawl raises Unavailable.
    """
    run = _Crawl(bounds, visited, skip)
    return await run.pages(starts)


class _Crawl:
    def __init__(self, bounds: Bounds, visited: Visited, skip: Callable[[str], bool]) -> None:
        self._bounds = bounds
        self._visited = visited
        self._skip = skip
        self._inside: list[tuple[str, int | None, str]] = []
        self._seen: set[str] = set()
        self._waiting: deque[tuple[str, int]] = deque()
        self._ends: dict[str, str] = {}
        self._aside: list[tuple[Page, str]] = []

    async def pages(self, starts: Sequence[str]) -> dict[str, Page]:
        found: dict[str, Page] = {}
        opened = [await self._visited.visit(url) for url in starts]
        self._seen.update(starts)
        self._inside = [_folder(page.url, whole_host=self._bounds.whole_host) for page in opened]
        for page in opened:
            self._take(page, 0, found)
        await self._follow(found, self._bounds.max_pages - len(opened))
        for page, canonical in self._aside:
            if self._ends.get(canonical, canonical) not in found:  # gone, out of bounds, or it redirects back here
                found.setdefault(page.url, page)
        return found

    async def _follow(self, found: dict[str, Page], pages_left: int) -> None:
        failed: set[str] = set()
        while self._waiting and pages_left > 0:
            url, depth = self._waiting.popleft()
            try:
                page = await self._later(url, again=url in failed)
            except _Again:
                failed.add(url)
                self._waiting.append((url, depth))
                continue
            pages_left -= 1
            if page is not None:
                self._ends[url] = page.url
                self._take(page, depth, found)
        if self._waiting:
            log.warning("crawl stopped at max_pages=%d links_left=%d", self._bounds.max_pages, len(self._waiting))

    def _take(self, page: Page, depth: int, found: dict[str, Page]) -> None:
        if not self._is_inside(page.url):
            return
        self._seen.add(page.url)
        elsewhere = page.canonical if page.canonical is not None and self._is_inside(page.canonical) else None
        if elsewhere is not None:
            self._add([elsewhere], depth)
        if page.suffix is not None and page.index:
            if elsewhere is None:
                found.setdefault(page.url, page)
            else:
                self._aside.append((page, elsewhere))
        if depth < self._bounds.max_depth:
            self._add([link for link in page.links if self._is_inside(link)], depth + 1)

    def _add(self, urls: Iterable[str], depth: int) -> None:
        for url in urls:
            if url not in self._seen and not self._skip(url):
                self._seen.add(url)
                self._waiting.append((url, depth))

    async def _later(self, url: str, *, again: bool) -> Page | None:
        """Return a page that is no start, None where it is not for us. Raises _Again at its first failure."""
        known = self._visited.known(url)
        try:
            return await self._visited.visit(url, within=self._is_inside)
        except (TooLarge, ParseFailed) as error:
            log.info("crawl does not look into %s: %s", shown(url), error)
            return known or Page(url, suffix="")
        except (Vanished, Forbidden, BadInput) as error:
            log.info("crawl leaves out %s: %s", shown(url), error)
            return None
        except Refused as error:
            log.info("crawl leaves out %s: %s", shown(url), error)
            return known
        except Unavailable as error:
            if not again:
                raise _Again from error
            if known is None and not self._visited.any_known:
                raise Unavailable(
                    f"what lies behind a page is unknown: {error}; if it never answers, add it to exclude"
                ) from error
            log.warning("crawl keeps what it knows of %s: %s", shown(url), error)
            return known or Page(url, suffix="")

    def _is_inside(self, url: str) -> bool:
        if not self._bounds.same_host:
            return True
        at = httpx.URL(url)
        return any((at.host, at.port) == (host, port) and at.path.startswith(path) for host, port, path in self._inside)


class _Again(RaglineError):
    """The page is tried once more, after all others."""


def _folder(url: str, *, whole_host: bool) -> tuple[str, int | None, str]:
    at = httpx.URL(url)
    return at.host, at.port, "/" if whole_host else at.path.rpartition("/")[0] + "/"
