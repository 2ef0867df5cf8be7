"""One HTTP server behind a connection: requests to it, its bytes, and its failures as BackendError."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address

import httpx
import orjson

from ragline.config.settings import Connection
from ragline.connectors.plain import PLAIN, plain
from ragline.errors import BackendError, BackendTimeout, Invalid, SetupError
from ragline.types import Json

CONNECT_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 500
MOST_ANSWER_BYTES = 64 << 20
MOST_EVENT_BYTES = 8 << 20
"""Of one event or line in a stream."""
ERROR_HEADERS = ("content-type", "retry-after")
"""Headers of an error that a client needs: how to read it, and when to try again."""


class Upstream:
    """A pooled client of one server. Only a request that could not be sent at all is sent again, once."""

    def __init__(self, connection: Connection, *, example_url: str) -> None:
        """Raise SetupError when the connection has no http(s) address; `example_url` shows what one looks like."""
        url = httpx.URL(connection.url or "")
        if url.scheme not in {"http", "https"} or not url.host:
            raise SetupError(
                f"connection {connection.name!r}: {connection.kind} needs a url such as {example_url}, "
                f"got {connection.url!r}"
            )
        self.url = str(url).rstrip("/")
        self.label = connection.name  # errors reach users, who need not know addresses
        self.timeout = httpx.Timeout(connection.timeout_s, connect=min(CONNECT_TIMEOUT_S, connection.timeout_s))
        key = connection.api_key.get_secret_value() if connection.api_key else ""
        self.headers = {"authorization": f"Bearer {key}"} if key else {}
        # A proxy of the environment cannot reach what listens on this machine only.
        self.trust_env = not _is_loopback(url.host)
        self._client = httpx.AsyncClient(
            timeout=self.timeout,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=50),
            headers={**PLAIN, **self.headers},
            event_hooks=plain(),
            trust_env=self.trust_env,
        )

    async def open(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        """Return a successful response whose body is still to come; whoever takes it closes it, or reads `pieces`.

        Raises BackendError: `upstream` is set for 4xx and 5xx; BackendTimeout after the connection's `timeout_s`.
        """
        with self.translated():
            response = await self._send(method, path, body)
            if response.is_success:
                return response
            try:
                text = await joined(response.aiter_bytes(), self.label)
            finally:
                await response.aclose()
        raise self._refusal(response, text)

    async def ask(self, method: str, path: str, data: Json = None) -> dict[str, Json]:
        """Return the JSON object the server answers. Raises BackendError as `open`, and when it is not JSON."""
        response = await self.open(method, path, dump(data) if data is not None else b"")
        text = await joined(self.pieces(response), self.label)
        return self.parse(text, response.headers.get("content-type", ""))

    def parse(self, text: bytes, content_type: str) -> dict[str, Json]:
        """Return the JSON object in `text`. Raises BackendError that shows what came instead.

        Strict: NaN, numbers beyond a double, half surrogate pairs and 1,024 levels of nesting are no JSON either.
        """
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if content_type.startswith("application/"):
                raise BackendError(f"{self.label}: did not send JSON: {error}: {_start(text)!r}") from error
            raise self.unreadable(text, content_type) from error
        if not isinstance(value, dict):
            raise self.unreadable(text, content_type)
        return value

    def unreadable(self, text: bytes, content_type: str, *, expected: str = "JSON") -> BackendError:
        return BackendError(
            f"{self.label}: sent {content_type or 'no content type'} where {expected} was expected: {_start(text)!r}; "
            "is the connection's url that of its API?"
        )

    async def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes. Raises BackendError when it breaks off; ending it early closes the request."""
        try:
            with self.translated():
                async for piece in response.aiter_bytes():
                    yield piece
        finally:
            await response.aclose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn httpx's errors into BackendError and BackendTimeout."""
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise BackendTimeout(
                f"{self.label}: not reachable within {self.timeout.connect:g} s; "
                "start it, or change the connection's url"
            ) from error
        except httpx.TimeoutException as error:
            raise BackendTimeout(
                f"{self.label}: silent for {self.timeout.read:g} s ({type(error).__name__}); "
                "raise the connection's timeout_s or ask for less"
            ) from error
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            raise self.unreachable(error) from error
        except httpx.RequestError as error:
            raise BackendError(f"{self.label}: connection lost ({type(error).__name__}: {error})") from error

    def unreachable(self, error: Exception) -> BackendError:
        return BackendError(f"{self.label}: not reachable ({error}); start it, or change the connection's url")

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, body: bytes) -> httpx.Response:
        headers = {"content-type": "application/json"} if body else {}
        request = self._client.build_request(method, self.url + path, content=body or None, headers=headers)
        try:
            return await self._client.send(request, stream=True)
        except httpx.ConnectError:
            return await self._client.send(request, stream=True)

    def _refusal(self, response: httpx.Response, text: bytes) -> BackendError:
        status = response.status_code
        if status < HTTPStatus.BAD_REQUEST:
            where = response.headers.get("location", "nowhere")
            return BackendError(f"{self.label}: answered {status}, moved to {where!r}; change the connection's url")
        headers: Mapping[str, str] = {key: response.headers[key] for key in ERROR_HEADERS if key in response.headers}
        start = text[:200].decode("utf-8", "replace")
        return BackendError(f"{self.label}: answered {status}: {start}", upstream=(status, text, headers))


async def joined(pieces: AsyncIterator[bytes], label: str) -> bytes:
    """Return the bytes of an answer. Raises BackendError where they are more than MOST_ANSWER_BYTES."""
    whole = bytearray()
    async for piece in pieces:
        whole += piece
        if len(whole) > MOST_ANSWER_BYTES:
            raise BackendError(f"{label}: sent more than the {MOST_ANSWER_BYTES} bytes that an answer may have")
    return bytes(whole)


def dump(data: Json) -> bytes:
    """Return `data` as compact JSON. ASCII only, so that half a surrogate pair in a prompt cannot break it.

    Raises Invalid for what is nested some 1,000 levels deep.
    """
    try:
        return json.dumps(data, separators=(",", ":")).encode()
    except RecursionError as error:
        raise Invalid("the request is nested too deeply; send a flatter one") from error


def _start(text: bytes) -> str:
    return text[:80].decode("utf-8", "replace")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
