"""Fetching politely: what robots.txt allows, with pauses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from ragline.connectors.sources.fetch import USER_AGENT, Fetcher
from ragline.connectors.sources.fetched import Elsewhere, Fetched, Redirect, Refused
from ragline.connectors.sources.protocol import Vanished
from ragline.connectors.sources.urls import joined, origin_of, parse_url, shown
from ragline.errors import Forbidden, TooLarge, Unavailable

if TYPE_CHECKING:
    from protego import Protego

log = logging.getLogger(__name__)

MAX_ROBOTS_BYTES = 512 << 10
"""RFC 9309, 2.5: at least 500 KiB are read."""
MAX_CRAWL_DELAY_S = 60.0

Within = Callable[[Redirect], bool]
"""Tells whether a redirect stays in what is read."""


class Disallowed(Forbidden):
    """The site's robots.txt asks us to stay away."""


class Outside(Vanished):
    """The page has moved for good (301, 308) out of what is read, so it is no page of that any more."""


class Polite:
    """Fetches what robots.txt allows, with a pause between two requests to the same host."""

    def __init__(self, fetcher: Fetcher, *, delay_s: float) -> None:
        self._fetcher = fetcher
        self._delay_s = delay_s
        self._robots: dict[str, asyncio.Task[Protego]] = {}
        self._wanted_s: dict[str, float] = {}
        self._free_at: dict[str, float] = {}

    async def get(
        self,
        url: str,
        *,
        etag: str | None = None,
        modified: str | None = None,
        max_bytes: int | None = None,
        within: Within | None = None,
    ) -> Fetched:
        """Return as `Fetcher.get`; redirects are followed only to where `within` is true and robots.txt allows.

        Raises Disallowed, Outside and Elsewhere (a permanent and a temporary redirect that is not `within`) too, and
        Unavailable where robots.txt cannot be read.
        """

        async def before_redirect(redirect: Redirect) -> None:
            if within is not None and not within(redirect):
                to = f"{shown(redirect.target)}, which is not followed out of the source (see options.same_host)"
                if redirect.for_now:
                    raise Elsewhere(f"{shown(url)}: redirects for now to {to}")
                raise Outside(f"{shown(url)}: has moved to {to}")
            await self._check(redirect.target)

        await self._check(url)
        await self._pause(url)
        return await self._fetcher.get(
            url, etag=etag, modified=modified, max_bytes=max_bytes, before_redirect=before_redirect
        )

    async def allowed(self, url: str) -> bool:
        robots = await self._robots_of(parse_url(url))
        return robots.can_fetch(url, USER_AGENT)

    async def sitemaps(self, url: str) -> list[str]:
        """Return the sitemaps that robots.txt names, or the usual place where it names none."""
        robots = await self._robots_of(parse_url(url))
        named = [joined(url, address) for address in robots.sitemaps]  # a path is not allowed there, but is used
        return [address for address in named if address] or [str(httpx.URL(url).join("/sitemap.xml"))]

    def forget(self) -> None:
        """Read each robots.txt again when it is needed."""
        for reading in self._robots.values():
            reading.cancel()
        self._robots.clear()

    async def _check(self, url: str) -> None:
        if not await self.allowed(url):
            raise Disallowed(f"{shown(url)}: the robots.txt of the host does not allow it")

    async def _robots_of(self, url: httpx.URL) -> Protego:
        """Requests for one host wait for one reading of its robots.txt; a reading that failed is forgotten."""
        origin = origin_of(url)
        task = self._robots.get(origin)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._read_robots(url))
            self._robots[origin] = task
        return await asyncio.shield(task)

    async def _read_robots(self, url: httpx.URL) -> Protego:
        """RFC 9309, 2.3.1: refused or not there means everything is allowed, unreachable means nothing is."""
        from protego import Protego

        await self._pause(str(url))
        try:
            with await self._fetcher.get(str(url.join("/robots.txt")), max_bytes=MAX_ROBOTS_BYTES) as fetched:
                text = fetched.body.read().decode("utf-8", "replace")
        except (Vanished, Refused):
            text = ""
        except (Unavailable, TooLarge) as error:
            raise Unavailable(f"robots.txt cannot be read, so nothing of the host may be: {error}") from error
        robots = Protego.parse(text.removeprefix("\ufeff"))
        wanted_s = min(robots.crawl_delay(USER_AGENT) or 0.0, MAX_CRAWL_DELAY_S)
        if wanted_s > self._delay_s:
            log.info("robots.txt asks for a pause host=%s seconds=%g", url.host, wanted_s)
            self._wanted_s[url.host] = wanted_s
        return robots

    async def _pause(self, url: str) -> None:
        """Wait for this request's turn; turns of a host are a delay apart."""
        host = httpx.URL(url).host
        now = asyncio.get_running_loop().time()
        turn = max(now, self._free_at.get(host, now))
        self._free_at[host] = turn + max(self._delay_s, self._wanted_s.get(host, 0.0))
        await asyncio.sleep(turn - now)
