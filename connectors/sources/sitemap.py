"""Sitemaps and their indexes: the addresses of a site's pages, as it lists them itself."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from lxml import etree  # type: ignore[import-untyped]  # has no types

from ragline.connectors.sources.gunzip import Gunzip
from ragline.connectors.sources.look import LOOK_TIMEOUT_S, Page
from ragline.connectors.sources.robots import Polite
from ragline.connectors.sources.urls import joined, shown
from ragline.connectors.sources.visits import Visits
from ragline.errors import BadInput, ParseFailed, TooLarge, Unavailable

if TYPE_CHECKING:
    from ragline.connectors.workers import Workers

MAX_SITEMAP_BYTES = 50 << 20
"""The protocol's own limit for one sitemap, unpacked: sitemaps.org/protocol.html."""
MAX_SITEMAPS = 500
MAX_SITEMAP_PAGES = 50_000


async def sitemap_pages(starts: Iterable[str], polite: Polite, workers: Workers, visits: Visits) -> list[str]:
    """Return the pages of the sitemaps and of those that they list. Raises the error of any that cannot be read.

    `visits` learns which sitemaps listed something: one that is empty the next time raises Unavailable.
    """
    waiting = deque(dict.fromkeys(starts))
    seen = set(waiting)
    pages: dict[str, None] = {}
    while waiting:
        url = waiting.popleft()
        with await polite.get(url, max_bytes=MAX_SITEMAP_BYTES) as fetched:
            content = fetched.body.read()
        try:
            kind, found = await workers.run(read_sitemap, content, timeout_s=LOOK_TIMEOUT_S)
        except (BadInput, ParseFailed) as error:
            raise Unavailable(f"sitemap {shown(url)}: {error}") from error
        targets = [target for target in (joined(url, address) for address in found) if target]
        _remember(url, targets, visits)
        if kind == "pages":
            pages.update(dict.fromkeys(targets))
        else:
            waiting.extend(target for target in dict.fromkeys(targets) if target not in seen)
            seen.update(targets)
        if len(seen) > MAX_SITEMAPS or len(pages) > MAX_SITEMAP_PAGES:
            raise TooLarge(
                f"sitemap {shown(url)}: more than {MAX_SITEMAPS} sitemaps or {MAX_SITEMAP_PAGES} pages; "
                "name some of its sitemaps as locations of several sources"
            )
    return list(pages)


def _remember(url: str, targets: Sequence[str], visits: Visits) -> None:
    before = visits.known(url)
    if before is not None and before.links and not targets:
        raise Unavailable(
            f"sitemap {shown(url)}: it is empty and was not before; "
            "if that is right, write the sitemaps that are to be read as the location"
        )
    visits.note([Page(url, suffix=None, links=list(targets[:1]))])  # one tells that there were some


def read_sitemap(content: bytes) -> tuple[Literal["index", "pages"], list[str]]:
    """Return the addresses in a sitemap (XML or a line each, packed or not): of further sitemaps, or of pages.

    Raises BadInput for what is no sitemap and TooLarge over its limits. Runs in a worker process.
    """
    if content.startswith(b"\x1f\x8b"):
        content = _gunzipped(content)
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = content.decode("utf-8-sig", "replace").split()
        found = [line for line in lines if line.startswith(("http://", "https://"))]
        if not found:
            raise BadInput("it is no sitemap: neither XML nor a line with an address")
        return "pages", found
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise BadInput(f"it is no XML: {error}") from None
    name = etree.QName(root).localname
    if name not in {"urlset", "sitemapindex"}:
        raise BadInput(f"it is no sitemap: its root is <{name}>")
    found = [(loc.text or "").strip() for loc in root.iterfind("{*}*/{*}loc")]
    return "index" if name == "sitemapindex" else "pages", [url for url in found if url]


def _gunzipped(content: bytes) -> bytes:
    gunzip, unpacked = Gunzip(), bytearray()
    try:
        for block in gunzip.feed(content):
            unpacked += block
            if len(unpacked) > MAX_SITEMAP_BYTES:
                raise TooLarge(f"larger than the limit of {MAX_SITEMAP_BYTES} bytes when unpacked")
        gunzip.end()
    except zlib.error as error:
        raise BadInput(f"it cannot be unpacked: {error}") from None
    return bytes(unpacked)
