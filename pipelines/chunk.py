"""A parsed document becomes passages: whole sections where they fit, else whole paragraphs, sentences, words.

How it is cut is planned (`chunking/profiles.py`), it is taken apart into a tree of pieces whose tokens are counted in
batches (`chunking/pieces.py`, `chunking/blocks.py`), and a packer fills passages with the largest pieces that fit
(`chunking/pack.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ragline.config.settings import Chunking
from ragline.language import language_of
from ragline.pipelines.chunking.blocks import blocks_of
from ragline.pipelines.chunking.cells import Cells
from ragline.pipelines.chunking.leads import Leads
from ragline.pipelines.chunking.pack import Packer, advancing, cut_to_size
from ragline.pipelines.chunking.pieces import CountTokens, Piece
from ragline.pipelines.chunking.profiles import plan_of
from ragline.types import Chunk, Element, ElementKind

SEPARATOR = " › "
MAX_TITLE_CHARS = 100
"""A longer title is cut in `Chunk.heading`."""
MAX_LEVEL = 9
"""Titles deeper than that are taken for this deep."""
SHORT_CHARS = 80
"""A shorter passage is in its document's language: it says too little itself."""
SAMPLE_CHARS = 150
"""The language of a passage is told from so much at its beginning, in the middle and at its end."""


def chunk(elements: Sequence[Element], *, settings: Chunking, count_tokens: CountTokens) -> list[Chunk]:
    """Return the passages of a document in its order; every character that is not blank lies in at least one.

    Offsets are in `document_text(elements)`. No passage has more than `settings.max_tokens` tokens. A title starts a
    new one as soon as the one before has a quarter of that, and is never the end of one while text follows. A sentence
    is only taken apart where it is longer than half a passage; a row of a table, an item of a list or a line of code
    where it is longer than one. Consecutive passages of one section share whole sentences of at most
    `settings.overlap_tokens` together; rows and code are not repeated. Nothing of two sheets, or of two files inside
    the document, is in one passage.
    """
    text, plan = plan_of(elements, settings.profile)
    blocks = blocks_of(text, plan, settings.max_tokens, count_tokens)
    outline = outline_of(elements)
    leads = Leads(text, elements, plan, max_tokens=settings.max_tokens, count_tokens=count_tokens)
    groups: list[list[Piece]] = []
    for _, zone in groupby(blocks, key=lambda block: plan.zones[block.element]):
        packer = Packer(
            outline,
            max_tokens=settings.max_tokens,
            overlap_tokens=settings.overlap_tokens if plan.overlaps else 0,
            lead_tokens=lambda piece: leads.tokens(piece.element, piece.start),
        )
        for block in zone:
            packer.add(block)
        groups += packer.finish()
    groups = advancing(cut_to_size(text, groups, settings.max_tokens, count_tokens))
    maker = _Maker(text, elements, outline, leads, Cells(text, elements, plan), language_of(text))
    return [maker.chunk(index, group) for index, group in enumerate(groups)]


def outline_of(elements: Sequence[Element]) -> list[tuple[int, str]]:
    """Return for each element the level and the path of the titles it stands under, a title under itself.

    What follows a file inside the document stands under the titles from before it.
    """
    left: dict[str, list[tuple[int, str]]] = {}
    above: list[tuple[int, str]] = []
    outline: list[tuple[int, str]] = []
    member = ""
    for element in elements:
        if element.member != member:
            left[member] = above
            member = element.member
            around = member
            while around not in left:
                around = around.rpartition("/")[0]
            above = left[around]
        if element.kind == "title" and (title := one_line(element.text)):
            level = min(max(1, element.level), MAX_LEVEL)
            above = [*((upper, name) for upper, name in above if upper < level), (level, title)]
        outline.append((above[-1][0] if above else 0, SEPARATOR.join(name for _, name in above)))
    return outline


def one_line(title: str) -> str:
    """Return a title for a path: without line ends and Markdown's signs, at most MAX_TITLE_CHARS long."""
    line = re.sub(r"^#{1,6}\s+", "", " ".join(title[: 4 * MAX_TITLE_CHARS].split()))
    return line if len(line) <= MAX_TITLE_CHARS else line[: MAX_TITLE_CHARS - 1] + "…"


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes passages of groups of pieces. `language` is the document's."""

    text: str
    elements: Sequence[Element]
    outline: Sequence[tuple[int, str]]
    leads: Leads
    cells: Cells
    language: str

    def chunk(self, index: int, group: Sequence[Piece]) -> Chunk:
        start, end = group[0].start, group[-1].end
        body = self.text[start:end]
        content = [piece for piece in group if piece.kind != "title"] or group[-1:]
        numbers = list(dict.fromkeys(piece.element for piece in content))
        heading = common_path([self.outline[number][1] for number in numbers])
        pages = [page for piece in group if (page := self.elements[piece.element].page) is not None]
        kind = self._kind(content)
        lead = self.leads.text(group[0].element, start)
        return Chunk(
            index=index,
            text=body,
            start=start,
            end=end,
            heading=heading,
            page=pages[0] if pages else None,
            language=self._language(body),
            page_end=pages[-1] if pages else None,
            kind=kind,
            member=self.elements[numbers[0]].member,
            sheet=next((sheet for number in numbers if (sheet := self.elements[number].sheet) is not None), None),
            cells=self.cells.range(numbers, start, end),
            html=self.cells.html(numbers, start, end) if kind == "table" else None,
            lead="" if one_line(lead) in heading.split(SEPARATOR) else lead,
        )

    def _kind(self, content: Sequence[Piece]) -> ElementKind:
        chars: Counter[ElementKind] = Counter()
        for piece in content:
            chars[self.elements[piece.element].kind] += piece.end - piece.start
        return chars.most_common(1)[0][0]

    def _language(self, body: str) -> str:
        if len(body) < SHORT_CHARS:
            return self.language
        if len(body) > 3 * SAMPLE_CHARS:
            middle = len(body) // 2
            body = f"{body[:SAMPLE_CHARS]} {body[middle : middle + SAMPLE_CHARS]} {body[-SAMPLE_CHARS:]}"
        return language_of(body, default=self.language)


def common_path(paths: Sequence[str]) -> str:
    """Return the titles that all sections of a passage stand under; the first section's where they share none."""
    first, *rest = (path.split(SEPARATOR) for path in dict.fromkeys(paths))
    shared = [title for depth, title in enumerate(first) if all(path[depth : depth + 1] == [title] for path in rest)]
    return SEPARATOR.join(shared or first)
