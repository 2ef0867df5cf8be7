"""A parsed document becomes passages: whole sections where they fit, else whole paragraphs, sentences, words.

The document is taken apart into a tree of pieces, their tokens are counted in batches (`pieces.py`), and a packer fills
passages with the largest pieces that fit (`pack.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragline.config.settings import Chunking
from ragline.language import language_of
from ragline.pipelines.pack import Packer, advancing, cut_to_size
from ragline.pipelines.parse import document_text
from ragline.pipelines.pieces import CountTokens, Piece, blocks_of
from ragline.types import Chunk, Element

SEPARATOR = " › "
MAX_TITLE_CHARS = 100
"""A longer title is cut in `Chunk.heading`."""
MAX_LEVEL = 9
"""Titles deeper than that are taken for this deep."""
MAX_HEADING_CHARS = 120
"""What `text_to_embed` adds at most: with 384 tokens of text and the prefix it stays within a model's 512 tokens."""
SHORT_CHARS = 80
"""A shorter passage is in its document's language: it says too little itself."""


def chunk(elements: Sequence[Element], *, settings: Chunking, count_tokens: CountTokens) -> list[Chunk]:
    """Return the passages of a document in its order; every character that is not blank lies in at least one.

    Offsets are in `document_text(elements)`. No passage has more than `settings.max_tokens` tokens. A title starts a
    new one as soon as the one before has a quarter of that, and is never the end of one while text follows. A sentence
    or a table row is only taken apart where it is longer than half a passage. Consecutive passages of one section share
    whole sentences of at most `settings.overlap_tokens` together; rows and code are not repeated.
    """
    text, offsets = document_text(elements)
    blocks = blocks_of(text, elements, [start for start, _ in offsets], settings.max_tokens // 2, count_tokens)
    outline = outline_of(elements)
    packer = Packer(outline, settings)
    for block in blocks:
        packer.add(block)
    groups = advancing(cut_to_size(text, packer.finish(), settings.max_tokens, count_tokens))
    language = language_of(text)
    return [
        _chunk(index, text, group, elements=elements, outline=outline, language=language)
        for index, group in enumerate(groups)
    ]


def text_to_embed(chunk: Chunk, name: str) -> str:
    """Return what the embedding model reads: the titles above the passage that are not in it, a newline, its text.

    Without titles a file name of several words stands in for them. At most MAX_HEADING_CHARS are added, the deepest
    titles first to stay.
    """
    lines = {one_line(line) for line in chunk.text.split("\n")}
    titles = [title for title in chunk.heading.split(SEPARATOR) if title and title not in lines]
    if not chunk.heading:
        words = re.findall(r"[^\W\d_]{2,}", name.rpartition(".")[0])
        titles = [" ".join(words)] if len(words) > 1 else []
    while len(titles) > 1 and len(SEPARATOR.join(titles)) > MAX_HEADING_CHARS:
        titles = titles[1:]
    heading = SEPARATOR.join(titles)[:MAX_HEADING_CHARS]
    return f"{heading}\n{chunk.text}" if heading else chunk.text


def outline_of(elements: Sequence[Element]) -> list[tuple[int, str]]:
    """Return for each element the level and the path of the titles it stands under, a title under itself."""
    above: list[tuple[int, str]] = []
    outline: list[tuple[int, str]] = []
    place = (0, "")
    for element in elements:
        if element.kind == "title" and (title := one_line(element.text)):
            level = min(max(1, element.level), MAX_LEVEL)
            above = [*((upper, name) for upper, name in above if upper < level), (level, title)]
            place = (level, SEPARATOR.join(name for _, name in above))
        outline.append(place)
    return outline


def one_line(title: str) -> str:
    """Return a title for a path: without line ends and Markdown's signs, at most MAX_TITLE_CHARS long."""
    line = re.sub(r"^#{1,6}\s+", "", " ".join(title[: 4 * MAX_TITLE_CHARS].split()))
    return line if len(line) <= MAX_TITLE_CHARS else line[: MAX_TITLE_CHARS - 1] + "…"


def _chunk(
    index: int,
    text: str,
    group: Sequence[Piece],
    *,
    elements: Sequence[Element],
    outline: Sequence[tuple[int, str]],
    language: str,
) -> Chunk:
    start, end = group[0].start, group[-1].end
    body = text[start:end]
    content = [piece for piece in group if piece.kind != "title"] or group[-1:]
    return Chunk(
        index=index,
        text=body,
        start=start,
        end=end,
        heading=common_path([outline[piece.element][1] for piece in content]),
        page=elements[group[0].element].page,
        language=language if len(body) < SHORT_CHARS else language_of(body, default=language),
    )


def common_path(paths: Sequence[str]) -> str:
    """Return the titles that all sections of a passage stand under; the first section's where they share none."""
    first, *rest = (path.split(SEPARATOR) for path in dict.fromkeys(paths))
    shared = [title for depth, title in enumerate(first) if all(path[depth : depth + 1] == [title] for path in rest)]
    return SEPARATOR.join(shared or first)
