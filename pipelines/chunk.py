"""A parsed document becomes passages: whole sections where they fit, else whole paragraphs, sentences, words.

The document is taken apart into a tree of pieces, their tokens are counted in batches, and a packer fills passages
with the largest pieces that fit.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ragline.config.settings import Chunking
from ragline.language import language_of
from ragline.pipelines.parse import document_text
from ragline.types import Chunk, Element, ElementKind

CountTokens = Callable[[Sequence[str]], list[int]]
"""Lengths of texts in tokens of the embedding model, special tokens left out."""

SEPARATOR = " › "
MAX_TITLE_CHARS = 100
"""A longer title is cut in `Chunk.heading`."""
MAX_LEVEL = 9
"""Titles deeper than that are taken for this deep."""
MAX_HEADING_CHARS = 120
"""What `text_to_embed` adds at most: with 384 tokens of text and the prefix it stays within a model's 512 tokens."""
BATCH = 1024
"""Texts in one call of the tokenizer: bounds its memory."""
WINDOW_CHARS = 4096
"""Longest text given to the tokenizer or the splitter at once: the splitter's time grows with the square of it."""
SHORT_CHARS = 80
"""A shorter passage is in its document's language: it says too little itself."""

_SENTENCE_END = re.compile(r"""[.!?…](?:["'”’)\]]|\s?»)*+\s++(?![a-zà-ÿ])|[。！？]""")
_LINE_END = re.compile(r"\n")


def chunk(elements: Sequence[Element], *, settings: Chunking, count_tokens: CountTokens) -> list[Chunk]:
    """Return the passages of a document in its order; every character that is not blank lies in at least one.

    Offsets are in `document_text(elements)`. No passage has more than `settings.max_tokens` tokens. A title starts a
    new one as soon as the one before has a quarter of that, and is never the end of one while text follows. A sentence
    or a table row is only taken apart where it is longer than half a passage. Consecutive passages of one section share
    whole sentences of at most `settings.overlap_tokens` together; rows and code are not repeated.
    """
    text, offsets = document_text(elements)
    blocks = _blocks(text, elements, [start for start, _ in offsets], settings.max_tokens // 2, count_tokens)
    outline = _outline(elements)
    packer = _Packer(outline, settings)
    for block in blocks:
        packer.add(block)
    groups = _advancing(_cut_to_size(text, packer.finish(), settings.max_tokens, count_tokens))
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
    lines = {_one_line(line) for line in chunk.text.split("\n")}
    titles = [title for title in chunk.heading.split(SEPARATOR) if title and title not in lines]
    if not chunk.heading:
        words = re.findall(r"[^\W\d_]{2,}", name.rpartition(".")[0])
        titles = [" ".join(words)] if len(words) > 1 else []
    while len(titles) > 1 and len(SEPARATOR.join(titles)) > MAX_HEADING_CHARS:
        titles = titles[1:]
    heading = SEPARATOR.join(titles)[:MAX_HEADING_CHARS]
    return f"{heading}\n{chunk.text}" if heading else chunk.text


@dataclass(slots=True)
class _Piece:
    """A stretch of an element, `element` its number, `parts` what it can be taken apart into (none: nothing)."""

    element: int
    kind: ElementKind
    start: int
    end: int
    tokens: int = 0
    parts: list[_Piece] = field(default_factory=list)

    def leaves(self) -> Iterator[_Piece]:
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def _blocks(
    text: str, elements: Sequence[Element], starts: Sequence[int], half: int, count_tokens: CountTokens
) -> list[_Piece]:
    """Return a piece for each element that is not blank; a leaf has at most `half` tokens or is a single letter."""
    parts = [list(_parts(text, number, start, elements[number])) for number, start in enumerate(starts)]
    pieces = [piece for group in parts for piece in group]
    _count(text, pieces, count_tokens)
    while pieces := [piece for piece in pieces if piece.tokens > half and piece.end - piece.start > 1]:
        for piece in pieces:
            piece.parts = _fragments(text, piece, half)
        pieces = [part for piece in pieces for part in piece.parts]
        _count(text, pieces, count_tokens)
    # What the blank line between two elements costs is the tokenizer's affair: nothing or a token.
    joined, first, second = count_tokens(["a\n\nb", "a", "b"])
    gap = max(0, joined - first - second)
    return [_block(group, gap, group[0].kind == "text") for group in parts if group]


def _block(parts: list[_Piece], gap: int, is_prose: bool) -> _Piece:
    for part in parts[:1] if is_prose else parts:
        part.tokens += gap
    if len(parts) == 1:
        return parts[0]
    tokens = sum(part.tokens for part in parts)
    return _Piece(parts[0].element, parts[0].kind, parts[0].start, parts[-1].end, tokens, parts)


def _parts(text: str, number: int, start: int, element: Element) -> Iterator[_Piece]:
    """Yield the sentences of a text, the lines of anything else, a title whole."""
    end = start + len(element.text)
    ends: Iterable[int] = ()
    if element.kind != "title":
        boundary = _SENTENCE_END if element.kind == "text" else _LINE_END
        ends = (match.end() for match in boundary.finditer(text, start, end))
    for stop in (*ends, end):
        for left, right in _windows(text, start, stop):
            yield _Piece(number, element.kind, left, right)
        start = stop


def _windows(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield stretches of at most WINDOW_CHARS without blanks around them, cut at a blank where there is one."""
    while start < end:
        stop = min(end, start + WINDOW_CHARS)
        if stop < end:
            blank = max(text.rfind(sign, start + WINDOW_CHARS // 2, stop) for sign in " \n")
            stop = blank if blank > 0 else stop
        stretch = text[start:stop]
        if inner := stretch.strip():
            left = start + len(stretch) - len(stretch.lstrip())
            yield left, left + len(inner)
        start = stop


def _fragments(text: str, piece: _Piece, half: int) -> list[_Piece]:
    """Cut a piece that is too long at words, or inside of them where they are too long themselves."""
    from semantic_text_splitter import TextSplitter

    length = piece.end - piece.start
    capacity = min(length - 1, max(1, int(0.9 * length * half / piece.tokens)))
    found = TextSplitter(capacity).chunk_indices(text[piece.start : piece.end])
    spans = ((piece.start + offset, piece.start + offset + len(part)) for offset, part in found)
    return [_Piece(piece.element, piece.kind, start, end) for start, end in spans]


def _count(text: str, pieces: Sequence[_Piece], count_tokens: CountTokens) -> None:
    for first in range(0, len(pieces), BATCH):
        batch = pieces[first : first + BATCH]
        counts = count_tokens([text[piece.start : piece.end] for piece in batch])
        for piece, tokens in zip(batch, counts, strict=True):
            piece.tokens = tokens


def _outline(elements: Sequence[Element]) -> list[tuple[int, str]]:
    """Return for each element the level and the path of the titles it stands under, a title under itself."""
    above: list[tuple[int, str]] = []
    outline: list[tuple[int, str]] = []
    place = (0, "")
    for element in elements:
        if element.kind == "title" and (title := _one_line(element.text)):
            level = min(max(1, element.level), MAX_LEVEL)
            above = [*((upper, name) for upper, name in above if upper < level), (level, title)]
            place = (level, SEPARATOR.join(name for _, name in above))
        outline.append(place)
    return outline


def _one_line(title: str) -> str:
    """Return a title for a path: without line ends and Markdown's signs, at most MAX_TITLE_CHARS long."""
    line = re.sub(r"^#{1,6}\s+", "", " ".join(title[: 4 * MAX_TITLE_CHARS].split()))
    return line if len(line) <= MAX_TITLE_CHARS else line[: MAX_TITLE_CHARS - 1] + "…"


class _Packer:
    """Fills passages with pieces. `_open` is the passage being filled, its first `_repeated` leaves are overlap."""

    def __init__(self, outline: Sequence[tuple[int, str]], settings: Chunking) -> None:
        self._outline = outline
        self._max = settings.max_tokens
        self._overlap = min(settings.overlap_tokens, settings.max_tokens // 2)
        self._open: list[_Piece] = []
        self._tokens = 0
        self._repeated = 0
        self._groups: list[list[_Piece]] = []

    def add(self, block: _Piece) -> None:
        """Put the next element's piece where it belongs."""
        if block.kind == "title" and self._open and self._starts_section(block):
            self._close(None)
        self._place(block)

    def finish(self) -> list[list[_Piece]]:
        """Return the leaves of each passage."""
        if self._open:
            self._groups.append(self._open)
        return self._groups

    def _place(self, piece: _Piece) -> None:
        if self._tokens + piece.tokens <= self._max:
            self._open.extend(piece.leaves())
            self._tokens += piece.tokens
        elif piece.parts and (piece.tokens > self._max or self._is_short()):
            for part in piece.parts:
                self._place(part)
        elif self._open:
            self._close(piece)
            self._place(piece)
        else:
            # One letter longer than a passage: a tokenizer may do that, and nothing can be cut from it.
            self._open.append(piece)
            self._tokens = piece.tokens

    def _starts_section(self, title: _Piece) -> bool:
        level = self._outline[self._open[0].element][0]
        return not self._is_short() or (self._outline[title.element][0] < level and not self._has_titles_only())

    def _is_short(self) -> bool:
        added = sum(piece.tokens for piece in self._open[self._repeated :])
        return added < self._max // 4 or self._has_titles_only()

    def _has_titles_only(self) -> bool:
        return all(piece.kind == "title" for piece in self._open)

    def _close(self, following: _Piece | None) -> None:
        """End the passage before `following` (None: a title). Titles at its end move on with what they announce."""
        end = len(self._open)
        while end and self._open[end - 1].kind == "title":
            end -= 1
        titles = self._open[end:]
        if not end or sum(title.tokens for title in titles) > self._max // 2:
            end, titles = len(self._open), []
        body = self._open[:end]
        self._groups.append(body)
        repeated = [] if titles or following is None else self._tail(body, self._max - following.tokens)
        self._open = repeated + titles
        self._repeated = len(repeated)
        self._tokens = sum(piece.tokens for piece in self._open)

    def _tail(self, body: Sequence[_Piece], room: int) -> list[_Piece]:
        """Return the last sentences of a passage that the next one repeats; never the whole of it."""
        room = min(room, self._overlap)
        tail: list[_Piece] = []
        for piece in reversed(body[1:]):
            room -= piece.tokens
            if room < 0 or piece.kind not in ("text", "list"):
                break
            tail.append(piece)
        return tail[::-1]


def _cut_to_size(
    text: str, groups: list[list[_Piece]], max_tokens: int, count_tokens: CountTokens
) -> list[list[_Piece]]:
    """Halve the passages that are too long as a whole although the sum of their leaves is not."""
    wholes = {
        id(group): _Piece(0, "text", group[0].start, group[-1].end)
        for group in groups
        if _may_exceed(group, max_tokens)
    }
    _count(text, list(wholes.values()), count_tokens)
    cut: list[list[_Piece]] = []
    for group in groups:
        if id(group) in wholes and wholes[id(group)].tokens > max_tokens:
            middle = len(group) // 2
            while middle > 1 and group[middle - 1].kind == "title":
                middle -= 1
            cut += _cut_to_size(text, [group[:middle], group[middle:]], max_tokens, count_tokens)
        else:
            cut.append(group)
    return cut


def _may_exceed(group: Sequence[_Piece], max_tokens: int) -> bool:
    """Say whether a token for each seam and each blank in it would make the passage too long: only then count again."""
    seams = sum(max(1, right.start - left.end) for left, right in itertools.pairwise(group))
    return len(group) > 1 and sum(piece.tokens for piece in group) + seams > max_tokens


def _advancing(groups: list[list[_Piece]]) -> list[list[_Piece]]:
    """Drop the repeated leaves that halving left without anything new behind them: starts and ends always grow."""
    kept = groups[:1]
    for group in groups[1:]:
        later = [piece for piece in group if piece.start > kept[-1][0].start]
        if later and later[-1].end > kept[-1][-1].end:
            kept.append(later)
    return kept


def _chunk(
    index: int,
    text: str,
    group: Sequence[_Piece],
    *,
    elements: Sequence[Element],
    outline: Sequence[tuple[int, str]],
    language: str,
) -> Chunk:
    start, end = group[0].start, group[-1].end
    body = text[start:end]
    content = next((piece for piece in group if piece.kind != "title"), group[-1])
    return Chunk(
        index=index,
        text=body,
        start=start,
        end=end,
        heading=outline[content.element][1],
        page=elements[group[0].element].page,
        language=language if len(body) < SHORT_CHARS else language_of(body, default=language),
    )
