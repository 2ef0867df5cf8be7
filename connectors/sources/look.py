"""What an HTML page says to crawlers: its links, whether it may be indexed, where it really lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from ragline.connectors.sources.main_text import decoded, parsed
from ragline.connectors.sources.urls import joined

LOOK_TIMEOUT_S = 60.0

_NO_DOCUMENTS = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico", ".bmp", ".tif", ".tiff"),
        *(".css", ".js", ".mjs", ".map", ".wasm", ".woff", ".woff2", ".ttf", ".otf", ".eot"),
        *(".mp3", ".ogg", ".wav", ".flac", ".m4a", ".mp4", ".webm", ".avi", ".mov", ".mkv"),
        *(".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".exe", ".msi", ".dmg", ".iso", ".deb", ".rpm"),
        *(".apk", ".jar", ".whl", ".rss", ".atom"),
    )
)
"""What links may end in that no crawl needs to fetch."""

_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
"""Rules for robots that have a colon in them; in a header, other words before one name whom it is for."""


@dataclass(slots=True)
class Page:
    """What a page said of itself. `url` is where redirects ended, `links` those that may be followed.

    `suffix` of its file name; "": not known, None: no document. `canonical`: where it says itself that it lives, if
    elsewhere.
    """

    url: str
    suffix: str | None = ".html"
    links: list[str] = field(default_factory=list)
    index: bool = True
    canonical: str | None = None
    etag: str | None = None
    modified: str | None = None


def look(content: bytes, url: str, *, charset: str | None, robots: str) -> Page:
    """Return what an HTML page says to crawlers; `robots`: X-Robots-Tag headers, a line each. For a worker process."""
    page = parsed(decoded(content, charset))
    metas = page.iterfind(".//meta[@name][@content]")
    named = [meta.get("content") for meta in metas if meta.get("name").strip().lower() in {"robots", "ragline"}]
    rules = {word.strip().lower() for words in (*_for_us(robots), *named) for word in words.split(",")}
    start = page.find(".//base[@href]")
    base = (joined(url, start.get("href")) if start is not None else None) or url
    links: list[str] = []
    if not rules & {"nofollow", "none"}:
        for link in page.iterfind(".//a[@href]"):
            target = joined(base, link.get("href"))
            if target and "nofollow" not in (link.get("rel") or "").lower().split() and _may_be_document(target):
                links.append(target)
    canonical = None
    for link in page.iterfind(".//link[@rel][@href]"):
        if "canonical" in link.get("rel").lower().split():
            canonical = canonical or joined(base, link.get("href"))
    return Page(
        url,
        links=list(dict.fromkeys(links)),
        index=not rules & {"noindex", "none"},
        canonical=canonical if canonical != url else None,
    )


def _for_us(robots: str) -> Iterator[str]:
    """Yield the rules of the headers that are for all crawlers, or for this one by its name."""
    for line in robots.splitlines():
        name, colon, rules = line.partition(":")
        name = name.strip().lower()
        if not colon or "," in name or name in _WITH_VALUE:
            yield line
        elif name == "ragline":
            yield rules


def _may_be_document(url: str) -> bool:
    last = httpx.URL(url).path.rpartition("/")[2].lower()
    return not any(last.endswith(suffix) for suffix in _NO_DOCUMENTS)
