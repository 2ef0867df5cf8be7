"""Bytes of the web, fetched safely: public addresses only, checked at the moment of the connection, within limits."""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from ragline import __version__
from ragline.connectors.sources.addresses import Resolve, check_addresses, is_public, resolve
from ragline.connectors.sources.fetched import Fetched, Redirect, fields_of, receive
from ragline.connectors.sources.urls import origin_of, parse_url, shown
from ragline.errors import Unavailable

USER_AGENT = f"Ragline/{__version__}"
MAX_REDIRECTS = 5
CONNECT_TIMEOUT_S = 10.0
SHORT_WAIT_S = 10.0
"""A server that asks for a pause of at most so long gets it, once."""


class Fetcher:
    """A pooled HTTP client for addresses that strangers may have chosen. Belongs to one event loop.

    Each connection goes to an address that was checked for it, so a name that changes its address gains nothing.
    The proxies of the environment are ignored: behind one, the check would see the proxy's address only.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout_s: float,
        max_bytes: int,
        private_hosts: Collection[str] | None = None,
        user_agent: str = USER_AGENT,
        credentials: Mapping[str, str] | None = None,
        resolve: Resolve = resolve,
        is_public: Callable[[str], bool] = is_public,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`timeout_s` bounds a whole `get`, `max_bytes` its body, unpacked.

        `private_hosts`: those that `allow_private` is for, as `raw_host` writes them; None: all.
        `credentials`: origin, as `origin_of` writes it, to the value of the Authorization header sent there only.
        """
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._user_agent = user_agent
        self._credentials = credentials or {}
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=20,
            keepalive_expiry=5.0,
            network_backend=_CheckedNetwork(
                resolve,
                is_public,
                lambda host: allow_private and (private_hosts is None or host in private_hosts),
            ),
        )

    async def get(
        self,
        url: str,
        *,
        etag: str | None = None,
        modified: str | None = None,
        max_bytes: int | None = None,
        before_redirect: Callable[[Redirect], Awaitable[None]] | None = None,
    ) -> Fetched:
        """Return the answer to a GET, redirects followed; 304 only where `etag` or `modified` was given and holds.

        `max_bytes` replaces the fetcher's; `before_redirect` gets each redirect before it is followed and may raise.

        Raises BadInput (no address that can be fetched), Forbidden (an address that is not allowed), TooLarge,
        Vanished (404, 410), Refused (other 4xx, and redirects to what is no page), Elsewhere (404 or 410 at the end of
        a temporary redirect), Unavailable (everything else that keeps the body away).
        """
        target = parse_url(url)
        headers = {"user-agent": self._user_agent, "accept": "*/*", "accept-encoding": "gzip"}
        if etag:
            headers["if-none-match"] = etag
        if modified:
            headers["if-modified-since"] = modified
        limit = self._max_bytes if max_bytes is None else max_bytes
        at = Redirect(str(target), str(target))
        with _translated(target, self._timeout_s):
            async with asyncio.timeout(self._timeout_s):
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await self._ask(at, headers, limit)
                    if isinstance(answer, Fetched):
                        return answer
                    at = answer
                    if before_redirect is not None:
                        await before_redirect(at)
        raise Unavailable(f"{shown(url)}: more than {MAX_REDIRECTS} redirects")

    async def close(self) -> None:
        """Close all connections. Can be called twice."""
        await self._pool.aclose()

    async def _ask(self, at: Redirect, headers: Mapping[str, str], limit: int) -> Fetched | Redirect:
        """Return the answer, or where it redirects to."""
        url = httpx.URL(at.target)
        headers = {"host": url.netloc.decode("ascii"), **headers}
        if authorization := self._credentials.get(origin_of(url)):
            headers["authorization"] = authorization
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        limits = {"timeout": {"connect": CONNECT_TIMEOUT_S, "read": self._timeout_s, "write": self._timeout_s}}
        for last in (False, True):
            async with self._pool.stream("GET", target, headers=_raw(headers), extensions=limits) as response:
                fields = fields_of(response.headers)
                wait_s = None if last else _short_wait(response.status, fields.get("retry-after", ""))
                if wait_s is None:
                    conditional = _is_conditional(headers)
                    return await receive(url, response, fields, limit, home=at.home, conditional=conditional)
            await asyncio.sleep(wait_s)
        raise AssertionError("the second answer is always taken")


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to an address it has resolved and checked itself; TLS above it still sees the name."""

    def __init__(
        self, resolve: Resolve, is_public: Callable[[str], bool], may_be_private: Callable[[str], bool]
    ) -> None:
        self._resolve = resolve
        self._is_public = is_public
        self._may_be_private = may_be_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        check_addresses(host, addresses, allow_private=self._may_be_private(host), is_public=self._is_public)
        failure: Exception = httpcore.ConnectError("it has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


@contextmanager
def _translated(url: httpx.URL, timeout_s: float) -> Iterator[None]:
    """Turn the errors of the network, and of the disk that keeps a body, into Unavailable."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"{shown(url)}: not answered in full within {timeout_s:g} s") from error
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, zlib.error) as error:
        raise Unavailable(f"{shown(url)}: cannot be reached ({type(error).__name__}: {error})") from error
    except OSError as error:
        raise Unavailable(f"{shown(url)}: cannot be kept while it is read ({error})") from error


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def _is_conditional(headers: Mapping[str, str]) -> bool:
    return "if-none-match" in headers or "if-modified-since" in headers


def _short_wait(status: int, retry_after: str) -> float | None:
    """Return the pause in seconds that a busy server asks for; None where it asks for none, or for a long one."""
    if status not in {429, 503}:
        return None
    wait_s = float("inf")
    if retry_after.isascii() and retry_after.isdigit():
        wait_s = float(retry_after)
    else:
        with suppress(ValueError):
            wait_s = max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    return wait_s if wait_s <= SHORT_WAIT_S else None
