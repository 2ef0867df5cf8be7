"""What a web server answered: the body within its limit and the headers, a redirect, or an error."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal, cast

import httpcore
import httpx

from ragline.connectors.sources.gunzip import Gunzip
from ragline.connectors.sources.protocol import Vanished
from ragline.connectors.sources.urls import parse_url, shown
from ragline.errors import BadInput, TooLarge, Unavailable

MEMORY_BYTES = 1 << 20
"""A body up to this size stays in memory, a longer one goes to a temporary file."""


class Refused(Unavailable):
    """The server answers, but not to us: 401, 403 and the other 4xx. Trying again alone does not help."""

    retryable = False


class Elsewhere(Refused):
    """A temporary redirect (302, 303, 307) leads away: to a login, a notice of maintenance. The page is not gone."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where an answer leads. `home` is the last address that only permanent redirects (301, 308) led to."""

    target: str
    home: str

    @property
    def for_now(self) -> bool:
        """True where a temporary redirect took part."""
        return self.target != self.home


@dataclass(slots=True)
class Fetched:
    """An answer. `body` stands at its start and is empty for 304; `url` is the last of the redirects.

    `home` is the last address that only permanent redirects led to, without any the one that was asked for. Names of
    `headers` are as `fields_of` gives them. Close it: the body may be a temporary file.
    """

    status: Literal[200, 304]
    url: str
    headers: Mapping[str, str]
    body: BinaryIO
    size_bytes: int
    home: str

    @property
    def for_now(self) -> bool:
        """True where a temporary redirect led here."""
        return self.url != self.home

    @property
    def content_type(self) -> str:
        """The type in lower case without parameters, "" if the server named none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        found = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", self.headers.get("content-type", ""), re.IGNORECASE)
        return found[1].lower() if found else None

    @property
    def etag(self) -> str | None:
        return self.headers.get("etag")

    @property
    def last_modified(self) -> str | None:
        return self.headers.get("last-modified")

    def close(self) -> None:
        self.body.close()

    def __enter__(self) -> Fetched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fields_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by their names in lower case: of several the last, but of X-Robots-Tag each, a line each."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}\n{value}" if name == "x-robots-tag" and name in fields else value
    return fields


async def receive(
    url: httpx.URL, response: httpcore.Response, headers: Mapping[str, str], limit: int, *, home: str, conditional: bool
) -> Fetched | Redirect:
    """Return the answer with its body read, or where it redirects to; `conditional`: it may be 304.

    `home`: the last address that only permanent redirects led to. Raises the errors of `Fetcher.get`.
    """
    status = response.status
    if status in {301, 302, 303, 307, 308} and "location" in headers:
        target = _redirect(url, headers["location"])
        return Redirect(target, target if status in {301, 308} and home == str(url) else home)
    if status == 304 and conditional:
        return Fetched(304, str(url), headers, BytesIO(), 0, home)
    if status in {404, 410}:
        if home != str(url):
            raise Elsewhere(f"{shown(home)}: redirects for now to {shown(url)}, where there is no page ({status})")
        raise Vanished(f"{shown(url)}: there is no such page ({status})")
    if 400 <= status < 500 and status not in {408, 425, 429}:
        raise Refused(f"{shown(url)}: the server refuses it ({status})")
    if status not in {200, 203}:  # 202, 204 and 206 come without the page: a queue, a challenge, a part
        raise Unavailable(f"{shown(url)}: the server answered {status}; try again later")
    body = cast(BinaryIO, tempfile.SpooledTemporaryFile(MEMORY_BYTES))  # noqa: SIM115  # whoever takes it closes it
    try:
        size_bytes = await _copy(url, response, headers, limit, body)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return Fetched(200, str(url), headers, body, size_bytes, home)


def _redirect(url: httpx.URL, location: str) -> str:
    """Follow a Location header; a user or password in it is dropped. Raises Refused where it leads nowhere."""
    with suppress(UnicodeDecodeError):
        location = location.encode("latin-1").decode("utf-8")  # not allowed, but what browsers expect
    try:
        return str(parse_url(str(url.join(location).copy_with(userinfo=b""))))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise Refused(f"{shown(url)}: redirects to no valid address") from error
    except BadInput as error:
        raise Refused(f"{shown(url)}: redirects to what is no page: {error}") from error


async def _copy(
    url: httpx.URL, response: httpcore.Response, headers: Mapping[str, str], limit: int, into: BinaryIO
) -> int:
    """Write the unpacked body and return its size. Raises TooLarge as soon as it is known to be."""
    announced = headers.get("content-length", "")
    too_large = TooLarge(f"{shown(url)}: larger than the limit of {limit} bytes")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        raise too_large
    size_bytes = 0
    async for block in _unpacked(url, response, headers.get("content-encoding", "")):
        size_bytes += len(block)
        if size_bytes > limit:
            raise too_large
        into.write(block)
    return size_bytes


async def _unpacked(url: httpx.URL, response: httpcore.Response, encoding: str) -> AsyncIterator[bytes]:
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise Unavailable(f"{shown(url)}: packed as {encoding!r} although only gzip was asked for")
    if "gzip" not in encoding:
        async for block in response.aiter_stream():
            yield block
        return
    gunzip = Gunzip()
    async for packed in response.aiter_stream():
        for block in gunzip.feed(packed):
            yield block
    gunzip.end()
