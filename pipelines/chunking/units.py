"""Lines that belong together: the items of a list, the definitions in source code."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragline.pipelines.chunking.pieces import Piece, joined

MAX_DEPTH = 8
"""A definition inside of so many others is taken apart by lines."""
TAB_COLUMNS = 4

_ITEM = re.compile(r"\s*(?:[-*+•●▪◦‣–—]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)])\s")
_GOES_ON = re.compile(
    r"\s*(?:[\])}>{]|(?:else|elif|elsif|elseif|except|finally|catch|rescue|ensure|end|fi|done|esac|then|do|begin)\b)",
    re.IGNORECASE,
)
"""How a line begins that belongs to what stands above it, although it is not indented."""
_ANNOUNCES = re.compile(r"\s*(?:@|#|//|/\*|\*|--|;|%|\"\"\"|'''|<!--|template\b)")
"""How a line begins that belongs to what stands right below it: a comment, a decorator."""


def items(text: str, lines: Sequence[Piece]) -> list[Piece]:
    """Return the items of a list, each kept whole: a line, or where lines bear marks, all up to the next mark."""
    marked = [_ITEM.match(text, line.start, line.end) is not None for line in lines]
    found: list[list[Piece]] = []
    for line, begins in zip(lines, marked, strict=True):
        if begins or not found or not any(marked):
            found.append([line])
        else:
            line.goes_on = True
            found[-1].append(line)
    return [joined(item, whole=True) for item in found]


def code_units(text: str, lines: Sequence[Piece], max_tokens: int, *, depth: int = 0) -> list[Piece]:
    """Return lines of source code as pieces that are kept whole where they fit.

    They are told by indentation and blank lines: a piece is what no blank line parts at the margin. One that is too
    long consists of definitions and statements, with the comments above them, and these of their first line and what
    is indented below it.
    """
    if depth == MAX_DEPTH:
        return [*lines]
    indents = [_indent(text, line) for line in lines]
    margin = min(indents)
    paragraphs: list[list[list[Piece]]] = []
    for number, line in enumerate(lines):
        is_apart = number > 0 and text.count("\n", lines[number - 1].end, line.start) > 1
        is_below = number > 0 and indents[number - 1] == margin and not is_apart
        if number and (indents[number] > margin or _goes_on(text, line, lines[number - 1] if is_below else None)):
            paragraphs[-1][-1].append(line)
        elif number == 0 or is_apart:
            paragraphs.append([[line]])
        else:
            paragraphs[-1].append([line])
    return [_paragraph(text, paragraph, max_tokens, depth) for paragraph in paragraphs]


def _goes_on(text: str, line: Piece, above: Piece | None) -> bool:
    """Tell whether a line at the margin belongs to what is before it; `above` is right above it at the margin."""
    if _GOES_ON.match(text, line.start, line.end):
        return True
    return above is not None and _ANNOUNCES.match(text, above.start, above.end) is not None


def _paragraph(text: str, units: Sequence[Sequence[Piece]], max_tokens: int, depth: int) -> Piece:
    flat = joined([line for unit in units for line in unit], whole=True)
    if flat.tokens <= max_tokens:
        return flat
    return joined([_unit(text, unit, max_tokens, depth) for unit in units], whole=True)


def _unit(text: str, lines: Sequence[Piece], max_tokens: int, depth: int) -> Piece:
    """Return a definition: in one where it fits, else its first line with the first of what it consists of."""
    whole = joined(lines, whole=True)
    first, *rest = lines
    margin = _indent(text, first)
    if whole.tokens <= max_tokens or all(_indent(text, line) <= margin for line in rest):
        return whole
    inner = code_units(text, rest, max_tokens, depth=depth + 1)
    if first.tokens + inner[0].tokens <= max_tokens:
        inner = [joined([first, *inner[0].leaves()], whole=True), *inner[1:]]
    else:
        inner = [first, *inner]
    return joined(inner, whole=True)


def _indent(text: str, line: Piece) -> int:
    """Return how far a line is indented, in columns."""
    stretch = text[line.start : line.end]
    blanks = stretch[: len(stretch) - len(stretch.lstrip())]
    return len(blanks) + (TAB_COLUMNS - 1) * blanks.count("\t")
