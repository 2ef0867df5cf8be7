"""Plain text and source code, in whatever encoding they come."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragline.pipelines.readers.text.encoding import decode, decoded
from ragline.pipelines.reading import Reading
from ragline.types import Element

__all__ = ["blocks", "code", "code_blocks", "decode", "is_list", "lines_of", "paragraphs", "plain"]

MAX_BLOCK_CHARS = 20_000
MAX_TITLE_CHARS = 120
_MAX_UNIT_CHARS = 6_000
"""A definition that is longer is cut at its next blank line: it is more than a passage anyway."""

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_ITEM = re.compile(r"\s{0,40}(?:[-*+•●▪◦–‣]|\d{1,3}[.)]|[a-z]\))\s")
_UNDERLINE = re.compile(r"(={3,}|-{3,}|~{3,})[ \t]*")
_LEVELS = {"=": 1, "-": 2, "~": 3}
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?[ \t]+[A-ZÀ-ÖØ-ÞŒ]")
_NAMED = re.compile(
    r"(?:chapitre|chapter|kapitel|article|section|annexe|annex|appendix|partie|part|titre)[ \t]+"
    r"(?:\d{1,3}|[IVXLC]{1,7}|[A-Z]|premier|première|1er)\b",
    re.IGNORECASE,
)
_NO_TITLE = re.compile(r"[.;,!?]\s*$|[.!?]\s+[A-ZÀ-Þ].*[a-zà-ÿ]\s.*\s")
_COLOURS = re.compile(r"\x1b(?:\[[0-9;?]{0,20}[A-Za-z]|\][^\x07\x1b\n]{0,200}\x07|[()][A-Z0-9]|[=>78MDE])")
_DEFINITION = re.compile(
    r"(?:@\w|#\[|(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\(\w+\))?|"
    r"unsafe|override|open|sealed|data|partial|template|extern|inline)\s.{0,200}[({:]|"
    r"(?:def|class|function|func|fn|sub|impl|trait|interface|struct|enum|module|namespace|proc|fun|object|record|macro"
    r"|defmodule|defp|resource|message|service)\b|(?:create|alter|insert|select|with|drop|update|delete)\s)",
    re.IGNORECASE,
)
_LEADING = re.compile(r"@|#|//|/\*|\*|--|;|%|\"\"\"|'''")
"""Lines that belong to the definition after them: decorators and comments."""
_INSIDE = re.compile(r"[ \t]|[})\]]|(?:end|else|elif|except|finally|catch|rescue|ensure|fi|done|esac)\b")
"""How a block begins that goes on with the definition before it."""


def plain(reading: Reading) -> Iterator[Element]:
    """Yield titles that are underlined or numbered, and paragraphs, which blank lines separate.

    A paragraph whose lines are all items is a list. Lines stay as they are.
    """
    yield from paragraphs(decoded(reading))


def code(reading: Reading) -> Iterator[Element]:
    """Yield the definitions at the top of the file and what stands between them, lines as they are."""
    for block in code_blocks(decoded(reading)):
        yield Element(block, "code")


def paragraphs(text: str) -> Iterator[Element]:
    """Yield the titles, paragraphs and lists of a plain text as elements."""
    found = blocks(text)
    block = next(found, None)
    numbered = False
    while block is not None:
        after = next(found, None)
        title, rest = _title(block, None if numbered else after)
        numbered = title is None and _ITEM.match(block) is not None
        if title is not None:
            yield title
        if rest:
            yield Element(rest.strip(), "list" if is_list(rest) else "text")
        block = after


def is_list(block: str) -> bool:
    """True where the first line is an item, and each other line one or indented below one."""
    if _ITEM.match(block) is None:
        return False
    return all(line[:1] in " \t" or _ITEM.match(line) for line in block.split("\n"))


def lines_of(text: str) -> str:
    """Return a text whose lines end in newlines only, a blank line for each new page, without colours."""
    for end, newline in (("\r\n", "\n"), ("\r", "\n"), ("\f", "\n\n"), ("\u2028", "\n"), ("\u2029", "\n\n")):
        if end in text:
            text = text.replace(end, newline)
    return _COLOURS.sub("", text) if "\x1b" in text else text


def blocks(text: str) -> Iterator[str]:
    """Yield what blank lines separate, cut at line ends where it is longer than 20,000 characters."""
    for block in _BLANK_LINES.split(lines_of(text).strip("\n")):
        yield from cut(block)


def cut(block: str) -> Iterator[str]:
    """Yield a block in pieces of at most 20,000 characters, at line ends, else at blanks, else anywhere."""
    start = 0
    while len(block) - start > MAX_BLOCK_CHARS:
        stop = start + MAX_BLOCK_CHARS
        end = block.rfind("\n", start + 1, stop)
        if end <= start:
            end = block.rfind(" ", start + MAX_BLOCK_CHARS // 2, stop)
        end = end if end > start else stop
        yield block[start:end].strip("\n").rstrip()
        start = end
    yield block[start:].strip("\n").rstrip()


def _title(block: str, after: str | None) -> tuple[Element | None, str]:
    """Return the title that a block begins with, and the rest of the block.

    `after` is the next block, None where there is none or the block stands among items.
    """
    first, newline, rest = block[: 2 * MAX_TITLE_CHARS + 2].partition("\n")
    line = first.strip()
    if not line or len(line) > MAX_TITLE_CHARS:
        return None, block
    if newline:
        under = _UNDERLINE.match(rest)
        end = len(first) + 1 + (under.end() if under else 0)
        whole = under is not None and block[end : end + 1] in ("", "\n")
        if under is None or not whole or abs(len(under[1]) - len(line)) > 3 or "|" in line:
            return None, block
        return Element(line, "title", level=_LEVELS[under[1][0]]), block[end:].strip("\n")
    numbered = _NUMBERED.match(line)
    if (numbered is None and _NAMED.match(line) is None) or _NO_TITLE.search(line):
        return None, block
    depth = numbered[1].count(".") + 1 if numbered else 1
    if numbered and depth == 1 and (after is None or _ITEM.match(after) or _NUMBERED.match(after)):
        return None, block  # an item of a list with blank lines between
    return Element(line, "title", level=depth), ""


def code_blocks(text: str) -> Iterator[str]:
    """Yield definitions as a whole with the comments before them, cut where they are very long."""
    unit: list[str] = []
    size = 0
    blank = False
    for line in lines_of(text).split("\n"):
        if not line.strip():
            blank = True
            unit.append("")
            continue
        top = line[0] not in " \t"
        new = blank and (not _INSIDE.match(line) or size > _MAX_UNIT_CHARS)
        if new or (top and not blank and unit and _DEFINITION.match(line) and not _LEADING.match(unit[-1])):
            yield from _code(unit)
            unit, size = [], 0
        unit.append(line)
        size += len(line) + 1
        blank = False
    yield from _code(unit)


def _code(lines: list[str]) -> Iterator[str]:
    if block := "\n".join(lines).strip("\n").rstrip():
        yield from cut(block)
