"""An answer taken apart: which part of which sentence cites which sources, by its place in the text."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[int, int]

MAX_RANGE = 50
"""Sources that `[1-50]` stands for at most."""
MAX_QUOTE_CHARS = 2000
MAX_MARKS = 1000
"""Marks that are looked at in one answer."""
COPIED_CHARS = 10
"""Before a mark, or behind it: by these it is recognised as one that was copied with the text around it."""
LOOK_BACK_CHARS = 12
"""Before a full stop, to see whether it ends an abbreviation."""

NUMBERS = r"\d{1,3}(?:\s{0,2}(?:[,;–-]|et|and)\s{0,2}\d{1,3}){0,19}"
MARK = re.compile(
    rf"(?P<open>\[\^?|【)\s?(?:sources?\s{{0,2}})?(?P<numbers>{NUMBERS})(?:†[^\[\]【】\n]{{0,80}})?\s?(?P<close>\]|】)"
    r"(?P<link>\([^()\s]{1,500}\))?",
    re.IGNORECASE,
)
"""`[1]`, `[1, 2]`, `[1-3]`, `[^1]`, `【1†source】`; with the address of a link behind it."""
SIGN = "\ue000"
"""In the place of each character of a mark while sentences are looked for."""

QUOTED = re.compile(
    rf"«[^«»]{{1,{MAX_QUOTE_CHARS}}}»|“[^“”]{{1,{MAX_QUOTE_CHARS}}}”|„[^„“”]{{1,{MAX_QUOTE_CHARS}}}[“”]"
    rf'|"[^"]{{1,{MAX_QUOTE_CHARS}}}"'
)
ITEM = re.compile(r"[ \t>]{0,40}(?:(?:[-*+•–▪◦]|#{1,6}|\d{1,3}[.)])(?=\s)|\||\[\^\d{1,3}\]:)")
"""What begins a block of its own: bullets, titles, numbers of a list, rows of a table, footnotes."""
FOOTNOTE = re.compile(r"[ \t>]{0,40}\[\^\d{1,3}\]:")
FENCE = re.compile(r"[ \t>]{0,40}(`{3,}|~{3,})")
CODE_SPAN = re.compile(r"`[^`\n]{1,500}`")
END = re.compile(r"[.!?…]{1,8}[\"'’»”)\]*_]{0,6}|[。！？]")
ABBREVIATION = re.compile(
    r"(?:^|[\s(\[«'’])(?:[A-ZÀ-Þ]|MM|Mme|Mlle|Mr|Mrs|Ms|Dr|Pr|Prof|St|Ste|No|Nos|no|n°|art|al|p|pp|fig|Fig|vol|éd|ed"
    r"|cf|Cf|ex|env|av|ap|vs|etc|approx|e\.g|i\.e|c\.-à-d|J\.-C|[Jj]anv|[Ff]évr|Jan|Feb|Aug|Sept|Oct|Nov|Dec|U\.S)\.$"
)
THOUGHTS = (("<think>", "</think>"), ('<details type="reasoning"', "</details>"))


@dataclass(frozen=True, slots=True)
class Statement:
    """What cites: `text` is the answer from `start` to before `end` with blanks for the marks, `numbers` what is cited.

    `quotes` are the places of what stands in quotation marks, from its first character to after its last.
    """

    text: str
    start: int
    end: int
    numbers: Sequence[int]
    quotes: Sequence[Span] = ()


def statements(
    answer: str, *, says: Callable[[str], bool] = str.isalnum, foreign: Callable[[str, str, str], bool] | None = None
) -> Iterator[Statement]:
    """Give the parts of an answer that cite, in reading order; thoughts, code and footnotes are left out.

    A sentence with several marks is one part for each mark that follows, or begins, something of its own, by `says`.
    `foreign` tells whether a mark was copied from a source, by what stands before it, itself, and what stands behind.
    """
    masked = without_thoughts(answer)
    left = MAX_MARKS
    for start, end in blocks(masked):
        block = masked[start:end]
        if "[" not in block and "【" not in block:
            continue
        marks = marks_in(block)[:left]
        left -= len(marks)
        if foreign is not None:
            marks = [mark for mark in marks if not foreign(*with_context(block, mark))]
        if not marks:
            continue
        signed = blanked(block, marks, SIGN)
        quotes = [match.span() for match in QUOTED.finditer(signed)]
        starts = [mark.start() for mark in marks]
        for first, last in sentences(signed, quotes):
            inside = marks[bisect_left(starts, first) : bisect_left(starts, last)]
            for span, cited in parts(signed, (first, last), inside, says):
                yield made(block, span, cited, marks, quotes, offset=start)


def with_context(block: str, mark: re.Match[str]) -> tuple[str, str, str]:
    start, end = mark.span()
    return block[max(0, start - COPIED_CHARS) : start], mark.group(), block[end : end + COPIED_CHARS]


def made(
    block: str, span: Span, cited: Sequence[re.Match[str]], marks: Sequence[re.Match[str]], quotes: Sequence[Span],
    *, offset: int,
) -> Statement:  # fmt: skip
    first, last = span
    numbers = dict.fromkeys(number for mark in cited for number in numbers_of(mark["numbers"]))
    text = blanked(block, marks, " ")[first:last]
    own = [(start - first, end - first) for start, end in quotes if first <= start and end <= last]
    return Statement(text, offset + first, offset + last, list(numbers), own)


def blocks(text: str) -> Iterator[Span]:
    """Give the places of paragraphs, items of lists, titles and rows of tables; not those of code and of footnotes."""
    fence, start, at = "", -1, 0
    for line in text.splitlines(keepends=True):
        end = at + len(line)
        opened = FENCE.match(line)
        begins = not line.strip() or bool(opened) or bool(fence) or bool(ITEM.match(line))
        if begins and start >= 0:
            yield start, at
            start = -1
        if opened and (not fence or opened[1].startswith(fence)):
            fence = "" if fence else opened[1]
        elif not fence and line.strip() and not FOOTNOTE.match(line) and start < 0:
            start = at
        at = end
    if start >= 0:
        yield start, at


def sentences(text: str, quotes: Sequence[Span] = ()) -> Iterator[Span]:
    """Give the places of a block's sentences without white space around them; none ends inside a quotation.

    Marks, here in `SIGN`s, belong to the sentence that they follow, unless the block begins with one.
    """
    lead = re.match(r"[\s>]{0,40}(?:(?:[-*+•–▪◦]|#{1,6}|\d{1,3}[.)])\s|\|)?\s*", text)
    start = lead.end() if lead else 0
    leading = text.startswith(SIGN, start)
    inside = iter(quotes)
    quote = next(inside, None)
    for match in END.finditer(text, start):
        while quote and quote[1] <= match.start():
            quote = next(inside, None)
        if quote and quote[0] < match.start() and match.end() < quote[1]:
            continue
        end = match.end() if leading else after_marks(text, match.end())
        if end >= len(text) or not (text[end].isspace() or text[match.end() - 1] in "。！？"):
            continue
        if ABBREVIATION.search(text[max(start, match.end() - LOOK_BACK_CHARS) : match.end()]):
            continue
        if end == match.end() and next_letter(text, end).islower():
            continue
        if end > start:
            yield trimmed(text, start, end)
        start = end
    if text[start:].strip():
        yield trimmed(text, start, len(text))


def after_marks(text: str, at: int) -> int:
    """Return where the marks end that follow this place, white space between them allowed."""
    end = at
    while True:
        sign = next((place for place in range(end, min(end + 3, len(text))) if not text[place].isspace()), None)
        if sign is None or text[sign] != SIGN:
            return end
        end = sign
        while end < len(text) and text[end] == SIGN:
            end += 1


def next_letter(text: str, at: int) -> str:
    return next((text[place] for place in range(at, min(at + 4, len(text))) if not text[place].isspace()), "")


def trimmed(text: str, start: int, end: int, *, left: str | None = None) -> Span:
    """Return the place without white space around it, at its beginning without what is in `left`."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip(left)), start + len(part.rstrip())


def parts(
    text: str, span: Span, marks: Sequence[re.Match[str]], says: Callable[[str], bool]
) -> Iterator[tuple[Span, list[re.Match[str]]]]:
    """Give the parts of one sentence, each with the marks it cites; marks with nothing between them go together."""
    if not marks:
        return
    first, last = span
    groups = [[marks[0]]]
    for before, mark in pairwise(marks):
        if says(text[before.end() : mark.start()]):
            groups.append([mark])
        else:
            groups[-1].append(mark)
    begins = not says(text[first : marks[0].start()]) and says(text[groups[0][-1].end() : last])
    for at, group in enumerate(groups):
        start = first if at == 0 else group[0].start() if begins else groups[at - 1][-1].end()
        end = last if at == len(groups) - 1 else groups[at + 1][0].start() if begins else group[-1].end()
        yield trimmed(text, start, end, left=" \t\n,;"), group


def marks_in(block: str) -> list[re.Match[str]]:
    """Return the marks of citations in a block; those in code spans are none."""
    code = [match.span() for match in CODE_SPAN.finditer(block)] if "`" in block else []
    found = [mark for mark in MARK.finditer(block) if (mark["open"] == "【") == (mark["close"] == "】")]
    if not code:
        return found
    covered = bytearray(len(block))
    for start, end in code:
        covered[start:end] = b"\1" * (end - start)
    return [mark for mark in found if not covered[mark.start()]]


def numbers_of(text: str) -> list[int]:
    """Return the numbers of a mark, ranges written out."""
    found: list[int] = []
    for first, last in re.findall(r"(\d+)(?:\s*[–-]\s*(\d+))?", text):
        low, high = int(first), int(last or first)
        found += range(low, high + 1) if low <= high < low + MAX_RANGE else [low, high]
    return found


def blanked(text: str, marks: Sequence[re.Match[str]], sign: str) -> str:
    """Return a text of the same length with this sign for each character of the marks."""
    pieces, at = [], 0
    for mark in marks:
        pieces += [text[at : mark.start()], sign * (mark.end() - mark.start())]
        at = mark.end()
    return "".join([*pieces, text[at:]])


def without_thoughts(text: str) -> str:
    """Return a text of the same length with blanks for what a model thought before its answer."""
    at = len(text) - len(text.lstrip())
    for opening, closing in THOUGHTS:
        if text.startswith(opening, at):
            end = text.find(closing, at)
            end = len(text) if end < 0 else end + len(closing)
            return re.sub(r"[^\n]", " ", text[:end]) + text[end:]
    return text
