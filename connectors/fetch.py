"""A page of the web that a user names, fetched for them: from the public internet only, within limits.

What a message says of a page that does not come must not make Ragline an eye on networks that it can see and the user
cannot: it is refused, or not reachable, or the server there says no.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import BytesIO
from ipaddress import ip_address
from typing import BinaryIO

import httpx

from ragline.connectors.sources.addresses import Resolve, is_public, resolve
from ragline.connectors.sources.fetch import Fetcher
from ragline.connectors.sources.fetched import Fetched, Redirect, Refused
from ragline.connectors.sources.look import LOOK_TIMEOUT_S
from ragline.connectors.sources.main_text import main_text
from ragline.connectors.sources.page_names import HTML, path_of, suffix_of
from ragline.connectors.sources.protocol import Vanished
from ragline.connectors.sources.urls import parse_url, shown
from ragline.connectors.workers import Workers
from ragline.errors import Forbidden, NotFound, TooLarge, Unavailable, UnsupportedFile

log = logging.getLogger(__name__)

MAX_PAGE_BYTES = 32 << 20
"""Largest page, unpacked."""
TIMEOUT_S = 30.0
"""Longest time a page may take with all its redirects."""
FETCHES = 8
"""Pages fetched at the same time."""
PORTS = frozenset({80, 443, 8080, 8443})
"""Where the web is: on other ports there are services to be scanned."""


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page as a file: `body` stands at its start; of HTML it is the main text. Close it.

    `url` is where redirects ended, `name` host and path with the suffix of its type.
    """

    url: str
    name: str
    body: BinaryIO

    def __enter__(self) -> WebPage:
        return self

    def __exit__(self, *_: object) -> None:
        self.body.close()


class Pages:
    """Fetches pages for users. Belongs to one event loop; connects to nothing before the first page."""

    def __init__(
        self,
        workers: Workers,
        *,
        max_bytes: int = MAX_PAGE_BYTES,
        timeout_s: float = TIMEOUT_S,
        ports: Collection[int] | None = PORTS,
        resolve: Resolve = resolve,
        is_public: Callable[[str], bool] = is_public,
    ) -> None:
        """`ports`: those that may be asked, None: all."""
        self._workers = workers
        self._max_bytes = min(max_bytes, MAX_PAGE_BYTES)
        self._timeout_s = timeout_s
        self._ports = ports
        self._resolve, self._is_public = resolve, is_public
        self._turns = asyncio.Semaphore(FETCHES)
        self._fetcher: Fetcher | None = None

    async def get(self, url: str) -> WebPage:
        """Return the page.

        Raises BadInput for what is no web address, Forbidden where it is not of the public internet, NotFound where no
        page comes, TooLarge, UnsupportedFile for what is no document, ParseFailed.
        """
        asked = parse_url(url)
        self._check_port(asked)
        async with self._turns:
            fetched = await self._fetch(asked)
        return await self._as_file(asked, fetched)

    async def close(self) -> None:
        if self._fetcher is not None:
            await self._fetcher.close()

    async def _fetch(self, url: httpx.URL) -> Fetched:
        named = shown(url)
        try:
            return await self._client().get(str(url), before_redirect=self._check_redirect)
        except Forbidden as error:
            log.info("a page was refused: %s", error)
            raise (refused(named) if is_address(url.host) else unreachable(named)) from None
        except Vanished:
            raise NotFound(f"{named}: there is no such page (404)") from None
        except TooLarge:
            raise TooLarge(f"{named}: larger than {self._max_bytes} bytes; upload it as a file") from None
        except Refused as error:
            log.info("a page was not given: %s", error)
            raise NotFound(f"{named}: the server there does not give this page to us; upload it as a file") from None
        except Unavailable as error:
            log.info("a page did not come: %s", error)
            raise unreachable(named) from None

    async def _as_file(self, asked: httpx.URL, fetched: Fetched) -> WebPage:
        try:
            suffix = suffix_of(fetched.url, fetched.content_type)
            if suffix is None:
                raise UnsupportedFile(f"{shown(asked)}: of type {fetched.content_type!r}, which is no document")
            body: BinaryIO = fetched.body
            if fetched.content_type in HTML:
                content = await self._workers.run(
                    main_text,
                    await asyncio.to_thread(body.read),
                    charset=fetched.charset,
                    timeout_s=LOOK_TIMEOUT_S,
                )
                fetched.close()
                body = BytesIO(content)
            return WebPage(fetched.url, path_of(fetched.url, suffix), body)
        except BaseException:
            fetched.close()
            raise

    def _client(self) -> Fetcher:
        if self._fetcher is None:
            self._fetcher = Fetcher(
                allow_private=False,
                timeout_s=self._timeout_s,
                max_bytes=self._max_bytes,
                resolve=self._resolve,
                is_public=self._is_public,
            )
        return self._fetcher

    async def _check_redirect(self, redirect: Redirect) -> None:
        self._check_port(httpx.URL(redirect.target))

    def _check_port(self, url: httpx.URL) -> None:
        port = url.port or (443 if url.scheme == "https" else 80)
        if self._ports is not None and port not in self._ports:
            raise refused(shown(url))


def is_address(host: str) -> bool:
    """Tell whether a host says by itself where it is; that a name leads to a private network nobody may learn here."""
    try:
        ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    return True


def unreachable(named: str) -> NotFound:
    return NotFound(f"{named}: not reachable, or its server fails; try again, or upload it as a file")


def refused(named: str) -> Forbidden:
    return Forbidden(
        f"{named}: refused; pages are fetched from the public internet only, on the ports "
        f"{', '.join(map(str, sorted(PORTS)))}. Upload it as a file"
    )
