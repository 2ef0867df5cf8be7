"""Names for web pages: an address and a content type become a path with the suffix of a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx

HTML = frozenset({"text/html", "application/xhtml+xml"})
SUFFIXES = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/epub+zip": ".epub",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/x-rst": ".rst",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "message/rfc822": ".eml",
}
"""Content types that are documents, to the suffix a file of theirs has; HTML apart."""
KNOWN_SUFFIXES = frozenset({*SUFFIXES.values(), ".html", ".htm", ".xhtml", ".markdown", ".ndjson"})
_VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/download", "text/plain"})
_NOT_DOCUMENTS = frozenset({"text/css", "text/javascript", "text/x-component"})

MAX_PART_CHARS = 100
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ufffd\ud800-\udfff]')


def path_of(url: str, suffix: str) -> str:
    """Return the name of a page inside its source: host and path, readable, its query behind an `@`, with the suffix.

    Where a part cannot be a file name as it is, eight digits of the address's digest keep the name apart from others.
    """
    at = httpx.URL(url)
    raw, _, query = at.raw_path.decode("ascii").partition("?")
    parts = [unquote(part) for part in raw.split("/")[1:]]
    suffix = suffix or (own_suffix(url) if own_suffix(url) in KNOWN_SUFFIXES else ".html")
    stem = parts.pop() or "index"
    if stem.lower().endswith(suffix):
        stem = stem[: -len(suffix)]
    parts.append(f"{stem}@{unquote(query)}" if query else stem)
    clean = [_UNSAFE.sub("_", part).strip()[:MAX_PART_CHARS] for part in parts]
    clean = ["_" if part in {"", ".", ".."} else part for part in clean]
    host = f"{at.host}_{at.port}" if at.port else at.host
    path = "/".join([_UNSAFE.sub("_", host), *clean])
    return f"{path}{suffix}" if clean == parts else f"{path}~{_digest(url)}{suffix}"


def paths_of(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the addresses by their names. Of several that would share one, all but the plainest get a digest."""
    paths: dict[str, str] = {}
    for url, suffix in sorted(set(found), key=lambda one: (own_suffix(one[0]) not in KNOWN_SUFFIXES, one[0])):
        path = path_of(url, suffix)
        if path in paths:
            stem, dot, end = path.rpartition(".")
            path = f"{stem}~{_digest(url)}{dot}{end}"
        paths[path] = url
    return paths


def suffix_of(url: str, content_type: str) -> str | None:
    """Return the suffix of a file with this content, the address's own where it fits; None for no document."""
    own = own_suffix(url)
    if content_type in HTML:
        return own if own in {".html", ".htm", ".xhtml"} else ".html"
    if content_type in _VAGUE and (own in KNOWN_SUFFIXES or (own and content_type == "text/plain")):
        return own
    if content_type in SUFFIXES:
        return own if own == ".markdown" else SUFFIXES[content_type]
    if content_type.startswith("text/") and content_type not in _NOT_DOCUMENTS:
        return own or ".txt"
    return ".html" if not content_type else None


def own_suffix(url: str) -> str:
    """Return the suffix that the last part of the path has, in lower case, "" where it has none."""
    return PurePosixPath(httpx.URL(url).path).suffix.lower()


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:8]
