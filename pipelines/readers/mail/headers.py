"""The headers of a mail as people read them: encoded words, raw bytes, names of attachments and dates."""

from __future__ import annotations

import binascii
import codecs
import quopri
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.message import Message
from email.utils import parsedate_to_datetime

from ragline.pipelines.readers.text.plain import decode
from ragline.types import Json

SHOWN = ("Subject", "From", "To", "Cc", "Date")
MAX_ABOUT_CHARS = 500
_MAX_HEADER_CHARS = 1_000_000
_MAX_PARAMETER_CHARS = 4_000
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_WIDER = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "windows-874": "cp874",
}
"""Charsets that mails name, and those that have all of their characters and the ones that are sent besides."""
_NO_CHARSETS = frozenset({"ascii", "idna", "punycode", "unicode_escape", "raw-unicode-escape", "undefined"})
"""What Python knows but no mail means; ASCII says nothing where there are other bytes."""


def head(message: Message) -> str:
    """Return the headers that are shown, a line each; empty where there are none."""
    return "\n".join(f"{name}: {value}" for name in SHOWN if (value := header(message, name)))


def about(message: Message) -> dict[str, Json]:
    """Return what a mail says of itself; its date as in ISO 8601."""
    found = {name.lower(): header(message, name)[:MAX_ABOUT_CHARS] for name in SHOWN}
    found["date"] = iso_date(found["date"])
    return {name: value for name, value in found.items() if value}


def header(message: Message, name: str) -> str:
    """Return the text of a header in one line, of several of its name joined by commas; empty where there is none."""
    values = (str(value) for key, value in message.raw_items() if key.lower() == name.lower())
    return ", ".join(filter(None, (in_line(value[:_MAX_HEADER_CHARS]) for value in values)))


def in_line(raw: str) -> str:
    """Return a header in one line, its encoded words and raw bytes as text."""
    return " ".join("".join(_decoded(unescaped(raw))).split())


def filename(part: Message) -> str:
    """Return what an attachment is called by its sender, empty where it has no name."""
    probe: Message = Message()
    for name, value in part.raw_items():
        if name.lower() in ("content-disposition", "content-type") and name not in probe:
            probe[name] = " ".join(unescaped(str(value)[:_MAX_PARAMETER_CHARS]).split())
    return in_line(probe.get_filename() or "")


def iso_date(text: str) -> str:
    """Return the date of a mail's header as in ISO 8601, empty for what is none."""
    try:
        return (datetime.fromisoformat(text) if text[:4].isdecimal() else parsedate_to_datetime(text)).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def charset_of(part: Message) -> str | None:
    """Return the declared encoding, where it is one that can be believed."""
    try:
        return known_charset(part.get_content_charset() or "")
    except (LookupError, ValueError, TypeError):
        return None


def known_charset(name: str) -> str | None:
    """Return Python's name of a charset, or None."""
    try:
        found = codecs.lookup(_WIDER.get(name.lower(), name)).name
    except (LookupError, ValueError):
        return None
    return None if found in _NO_CHARSETS else _WIDER.get(found, found)


def unescaped(raw: str) -> str:
    """Return a header with the bytes that the parser kept as halves of characters, in the likeliest encoding."""
    return raw if raw.isascii() else decode(raw.encode("utf-8", "surrogateescape"))


def _decoded(text: str) -> Iterator[str]:
    """Yield the text with its encoded words in place (RFC 2047); a letter may be split between two of them."""
    end, pending, charset = 0, bytearray(), None
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        data, name = _bytes_of(match), known_charset(match[1].partition("*")[0])
        if pending and (between.strip() or name != charset):
            yield decode(bytes(pending), charset)
            pending = bytearray()
        if end == 0 or between.strip():
            yield between
        if data is None:
            yield match[0]
        else:
            pending += data
            charset = name
        end = match.end()
    yield decode(bytes(pending), charset) if pending else ""
    yield text[end:]


def _bytes_of(word: re.Match[str]) -> bytes | None:
    data = word[3].encode("utf-8", "replace")
    try:
        return quopri.decodestring(data, header=True) if word[2] in "qQ" else binascii.a2b_base64(data + b"===")
    except binascii.Error:
        return None


def cited(names: Sequence[str]) -> str:
    """Return the line that names the attachments, empty for none."""
    return f"Attachments: {', '.join(names)}" if names else ""
