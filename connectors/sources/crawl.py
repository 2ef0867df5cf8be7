"""Following the links of a site, nearest first and within bounds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

import httpx

from ragline.connectors.sources.fetched import Elsewhere, Redirect, Refused
from ragline.connectors.sources.look import Page
from ragline.connectors.sources.protocol import Vanished
from ragline.connectors.sources.robots import Within
from ragline.connectors.sources.urls import shown, site_of
from ragline.errors import BadInput, Forbidden, ParseFailed, RaglineError, TooLarge, Unavailable

log = logging.getLogger(__name__)


class Visited(Protocol):
    """How a crawl comes by its pages."""

    def known(self, url: str) -> Page | None:
        """Return the page as an earlier crawl saw it."""

    def documents(self) -> Sequence[Page]:
        """Return the documents that the last crawl found."""

    @property
    def any_known(self) -> bool:
        """True if an earlier crawl came to its end."""

    async def visit(self, url: str, *, within: Within | None = None) -> Page:
        """Return the page as it is now. Raises the errors of `Visits.visit`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a crawl goes to new pages: how many in all, clicks from a start, out of its host or its folder."""

    max_pages: int
    max_depth: int
    same_host: bool
    whole_host: bool


class _Turn(IntEnum):
    """In which order pages are visited: what is known comes before what takes a place under `max_pages`."""

    KNOWN = 0
    NOT_LINKED = 1
    NEW = 2
    AGAIN = 3


async def crawl(
    starts: Sequence[str], bounds: Bounds, visited: Visited, *, skip: Callable[[str], bool]
) -> dict[str, Page]:
    """Return the documents reached from `starts` by their final address, and those that an earlier crawl found.

    Of the latter only what says itself that it is gone (404, 410, moved for good, noindex), what lies outside now, and
    what `skip` names is missing; `skip` are not visited. A start that fails raises its error, and Unavailable where it
    is only for now elsewhere. Another page that fails is listed nonetheless, with the links it had in the last crawl;
    where there was none, so that nobody knows what lies behind it, the crawl raises Unavailable.
    """
    run = _Crawl(bounds, visited, skip)
    return await run.pages(starts)


class _Crawl:
    def __init__(self, bounds: Bounds, visited: Visited, skip: Callable[[str], bool]) -> None:
        self._bounds = bounds
        self._visited = visited
        self._skip = skip
        self._inside: list[tuple[str, int | None, str]] = []
        self._waiting: list[tuple[_Turn, int, int, str]] = []
        self._numbers = count()
        self._depths: dict[str, int] = {}
        self._done: set[str] = set()
        self._gone: set[str] = set()
        self._ends: dict[str, str] = {}
        self._aside: list[tuple[Page, str]] = []

    async def pages(self, starts: Sequence[str]) -> dict[str, Page]:
        found: dict[str, Page] = {}
        opened = [await self._open(url) for url in starts]
        self._done.update(starts, (page.url for page in opened))
        self._inside = [_folder(page.url, whole_host=self._bounds.whole_host) for page in opened]
        for page in opened:
            self._take(page, 0, found)
        for page in self._visited.documents():
            if self._is_inside(page.url) and not self._skip(page.url):
                self._wait(_Turn.NOT_LINKED, self._bounds.max_depth, page.url)
        await self._follow(found, self._bounds.max_pages - len(opened))
        for page, canonical in self._aside:
            there = found.get(self._ends.get(canonical, canonical))
            if there is None or not there.suffix:  # gone, out of bounds, redirects back here, or did not answer yet
                found.setdefault(page.url, page)
        return {url: page for url, page in found.items() if url not in self._gone}

    async def _open(self, url: str) -> Page:
        """Return a start, which may move to another host for good only."""
        try:
            page = await self._visited.visit(url, within=_stays if self._bounds.same_host else None)
        except Elsewhere as error:
            raise Unavailable(f"{error}; if it has moved there, make that the location") from error
        if site_of(page.url) != site_of(url):
            log.warning("crawl follows its start to another host start=%s now=%s", shown(url), shown(page.url))
        return page

    async def _follow(self, found: dict[str, Page], pages_left: int) -> None:
        failed: set[str] = set()
        links_left = 0
        while self._waiting:
            turn, depth, _, url = heappop(self._waiting)
            if url in self._done:
                continue
            if turn is _Turn.NEW and pages_left <= 0:
                links_left += 1
                self._done.add(url)
                continue
            if url not in failed:
                pages_left -= 1
            try:
                page = await self._later(url, again=url in failed)
            except _Again:
                failed.add(url)
                self._wait(_Turn.AGAIN, depth, url)
                continue
            self._done.add(url)
            if page is not None:
                self._ends[url] = page.url
                self._take(page, depth, found)
            elif turn < _Turn.NEW:
                pages_left += 1  # its place is free
        if links_left:
            log.warning("crawl stopped at max_pages=%d links_left=%d", self._bounds.max_pages, links_left)

    def _take(self, page: Page, depth: int, found: dict[str, Page]) -> None:
        if not self._is_inside(page.url):
            return
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
            if url not in self._done and depth < self._depths.get(url, depth + 1) and not self._skip(url):
                self._depths[url] = depth
                self._wait(_Turn.NEW if self._visited.known(url) is None else _Turn.KNOWN, depth, url)

    def _wait(self, turn: _Turn, depth: int, url: str) -> None:
        heappush(self._waiting, (turn, depth, next(self._numbers), url))

    async def _later(self, url: str, *, again: bool) -> Page | None:
        """Return a page that is no start, None where it is not for us. Raises _Again at its first failure."""
        known = self._visited.known(url)
        try:
            page = await self._visited.visit(url, within=lambda redirect: self._is_inside(redirect.target))
            self._done.add(page.url)
            return page
        except Vanished as error:
            log.info("crawl leaves out %s: %s", shown(url), error)
            self._gone.add(url)
            return None
        except (TooLarge, ParseFailed) as error:
            log.info("crawl does not look into %s: %s", shown(url), error)
            return known or Page(url, suffix="")
        except (Refused, Forbidden, BadInput) as error:
            log.warning("crawl %s %s: %s", "keeps what it knows of" if known else "leaves out", shown(url), error)
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


def _stays(redirect: Redirect) -> bool:
    """A start stays on the host that it is at for good; permanent redirects may change that."""
    return site_of(redirect.target) == site_of(redirect.home)


def _folder(url: str, *, whole_host: bool) -> tuple[str, int | None, str]:
    at = httpx.URL(url)
    return at.host, at.port, "/" if whole_host else at.path.rpartition("/")[0] + "/"
