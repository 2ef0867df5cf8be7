"""Plain text and source code, in whatever encoding they come."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from ragline.types import Element

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_WESTERN = frozenset("ÀÂÄÆÇÈÉÊËÎÏÔÖŒÙÛÜŸàâäæçèéêëîïôöœùûüÿßÁÍÑÓÚÅØÃÕáíñóúåøãõ«»¡¿°§€£²³·\xa0–—‘’“”„…•™©®")
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_ITEM = re.compile(r"\s*(?:[-*+•●▪◦–]|\d{1,3}[.)])\s")
_MAX_BLOCK_CHARS = 20_000


def plain(path: Path) -> Iterator[Element]:
    """Yield the paragraphs, which blank lines separate; a paragraph whose lines are all items is a list."""
    yield from paragraphs(decode(path.read_bytes()))


def code(path: Path) -> Iterator[Element]:
    """Yield the blocks between blank lines, indentation kept."""
    for block in blocks(decode(path.read_bytes())):
        yield Element(block, "code")


def paragraphs(text: str) -> Iterator[Element]:
    """Yield the paragraphs of `text` as elements."""
    for block in blocks(text):
        is_list = all(_ITEM.match(line) for line in block.split("\n"))
        yield Element(block.strip(), "list" if is_list else "text")


def blocks(text: str) -> Iterator[str]:
    """Yield what blank lines separate, cut at line ends where it is longer than 20,000 characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    for block in _BLANK_LINES.split(text.strip("\n")):
        start = 0
        while len(block) - start > _MAX_BLOCK_CHARS:
            end = block.rfind("\n", start + 1, start + _MAX_BLOCK_CHARS)
            end = end if end > start else start + _MAX_BLOCK_CHARS
            yield block[start:end].strip("\n")
            start = end
        yield block[start:].strip("\n").rstrip()


def decode(data: bytes, declared: str | None = None) -> str:
    """Return the text of `data`: by its byte order mark, as `declared`, as UTF-8, or as the likeliest old encoding.

    Never fails: bytes that fit nothing become U+FFFD.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    for likely in [declared or "utf-8", "utf-8"]:
        try:
            return data.decode(likely)
        except (UnicodeDecodeError, LookupError):
            continue
    return _decode_legacy(data)


def _decode_legacy(data: bytes) -> str:
    """Damaged UTF-8 as such, cp1252 where its letters look like those of Western Europe, else the best guess."""
    sample = data[: 1 << 16]
    repaired = [char for char in sample.decode("utf-8", errors="replace") if char > "\x7f"]
    # In another encoding hardly a letter happens to be right UTF-8.
    if 3 * repaired.count("\ufffd") <= 2 * len(repaired):
        return data.decode("utf-8", errors="replace")
    foreign = [char for char in sample.decode("cp1252", errors="replace") if char > "\x7f"]
    if sum(char in _WESTERN for char in foreign) >= 0.9 * len(foreign):
        return data.decode("cp1252", errors="replace")
    from charset_normalizer import from_bytes

    guess = from_bytes(sample).best()
    return data.decode(guess.encoding if guess else "cp1252", errors="replace")
