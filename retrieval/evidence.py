"""What a source holds: whether what a statement claims occurs in it, and which of its sentences fits best."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ragline.retrieval.claims import TOKEN, Name, bare, folded
from ragline.retrieval.context import readable
from ragline.retrieval.figures import Figure, figures, within_names
from ragline.retrieval.quantities import units_in
from ragline.retrieval.statements import Span, blocks, sentences
from ragline.types import Chunk, Hit, Source, SparseVector

SLICE_CHARS = 10_000
"""What is searched for numbers at once: a regular expression holds up all threads while it is at work."""
MIN_SQUEEZED = 4
"""Shorter identifiers must be words of the passage."""
MAX_QUOTE_CHARS = 600
SAME_BEGINNING = 4
"""Letters by which a name is recognised in another language: Londres, London."""
STEM_CHARS = 6
"""Beginnings of words that are compared to find the sentence that fits best."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a passage: `text` is the text of the document from `start` to before `end`."""

    hit: Hit
    start: int
    end: int
    text: str


class Evidence:
    """The passages of one source and what was shown around them, with the title, name and pages that a model is told.

    What a statement is compared with is worked out once, when it is first needed.
    """

    def __init__(self, source: Source, around: Sequence[Hit] = ()) -> None:
        self.source = source
        self._hits = [*source.hits, *(hit for hit in around if not any(inside(hit, own) for own in source.hits))]
        self._texts = [shown(hit) for hit in self._hits]

    def has_figure(self, claimed: Figure) -> bool:
        """Tell whether a number occurs, with its unit; units that stand elsewhere, as in the head of a table, count."""
        known = self._figures
        if any(len(way) > 1 and all(key in known for key in way) for way in claimed.ways):
            return True
        for (key,) in (way for way in claimed.ways if len(way) == 1):
            units = known.get(key)
            if units is not None and (
                not claimed.unit or claimed.unit in units or ("" in units and claimed.unit in self._units)
            ):
                return True
        return False

    def has_name(self, name: Name, *, translated: bool = False) -> bool:
        """Tell whether a name occurs; `translated`: its beginning is enough."""
        word = folded(name.text)
        squeezed = "".join(filter(str.isalnum, word))
        if word in self._tokens or squeezed in self._tokens:
            return True
        if name.exact and len(squeezed) >= MIN_SQUEEZED and squeezed in self._squeezed:
            return True
        pieces = [piece for piece in re.split(r"[-'.’/@&+_]", word) if piece]
        if len(pieces) > 1 and all(piece in self._tokens or piece in self._figures for piece in pieces):
            return True
        if name.exact:
            return False
        if translated and len(word) >= SAME_BEGINNING:
            return any(token.startswith(word[:SAME_BEGINNING]) for token in self._tokens)
        return not self.words_missing(name.text)

    def has_quote(self, quote: str) -> bool:
        """Tell whether a quotation stands in one of the passages word for word; … and [...] leave something out."""
        spoken = [" ".join(words_of(part)) for part in re.split(r"…|\[?\.\.\.\]?|\[…\]", quote)]
        return any(in_order(spoken, text) for text in self._spoken)

    def words_missing(self, text: str) -> bool:
        """Tell whether a text has a word that none of the passages has; function words are none."""
        return any(vector_of(text, language).keys() - words for language, words in self.words.items())

    @cached_property
    def words(self) -> dict[str, frozenset[int]]:
        """The stems of all passages by language, as the search knows them."""
        found: dict[str, set[int]] = defaultdict(set)
        for hit, text in zip(self._hits, self._texts, strict=True):
            for piece in slices(text):
                found[hit.passage.chunk.language].update(vector_of(piece, hit.passage.chunk.language))
        return {language: frozenset(words) for language, words in found.items()}

    def best(self, text: str) -> Quote | None:
        """Return the sentence that has most of the words of a text, rare ones counting more; None without passages."""
        if not self._sentences:
            return None
        scores: Counter[int] = Counter()
        for word in beginnings(text):
            places = self._places.get(word, [])
            for place in places:
                scores[place] += math.log1p(len(self._sentences) / len(places))  # type: ignore[assignment]  # weights
        best = min(scores, key=lambda place: (-scores[place], place), default=0)
        hit, (start, end) = self._sentences[best]
        chunk = hit.passage.chunk
        return Quote(hit, chunk.start + start, chunk.start + end, chunk.text[start:end])

    @cached_property
    def _figures(self) -> dict[str, set[str]]:
        """The units that stand with each number, by its key; "" where one stands alone."""
        found: dict[str, set[str]] = defaultdict(set)
        for hit, text in zip(self._hits, self._texts, strict=True):
            for piece in slices(text):
                for each in figures(piece, languages=sorted(("en", "fr"), key=hit.passage.chunk.language.__ne__)):
                    for key in each.holds:
                        found[key].add(each.unit)
                for key in within_names(piece):
                    found[key].add("")
        for hit in self._hits:
            chunk = hit.passage.chunk
            for page in range(chunk.page or 1, (chunk.page_end or chunk.page or 0) + 1):
                found[f"page {page}"].add("")
        return found

    @cached_property
    def _units(self) -> frozenset[str]:
        return frozenset(unit for text in self._texts for unit in units_in(re.findall(r"[^\W\d_]+", text), text))

    @cached_property
    def _tokens(self) -> frozenset[str]:
        found: set[str] = set()
        for text in self._texts:
            for match in TOKEN.finditer(text):
                word = folded(bare(match.group()))
                found |= {word, *re.split(r"[-'.’/@&+_]", word)} if not word.isalnum() else {word}
        return frozenset(found)

    @cached_property
    def _squeezed(self) -> str:
        return "\0".join("".join(filter(str.isalnum, folded(text))) for text in self._texts)

    @cached_property
    def _spoken(self) -> list[str]:
        return [f" {' '.join(words_of(text))} " for text in self._texts]

    @cached_property
    def _sentences(self) -> list[tuple[Hit, Span]]:
        return [(hit, span) for hit in self._hits for span in sentences_in(hit.passage.chunk)]

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for place, (hit, (start, end)) in enumerate(self._sentences):
            for word in beginnings(hit.passage.chunk.text[start:end]):
                found[word].append(place)
        return found


def inside(hit: Hit, other: Hit) -> bool:
    """Tell whether a passage is a part of another of its document, or the same."""
    one, two = hit.passage.chunk, other.passage.chunk
    return two.start <= one.start and one.end <= two.end


def shown(hit: Hit) -> str:
    """Return a passage with what else a model is told of it."""
    chunk = hit.passage.chunk
    about = (hit.passage.name, chunk.member, chunk.sheet, chunk.cells, chunk.heading)
    return "\n".join([*(each for each in about if each), readable(chunk)])


def slices(text: str) -> Iterator[str]:
    """Give a text in pieces that end at white space, where there is any."""
    at = 0
    while at < len(text):
        end = at + SLICE_CHARS
        if end < len(text):
            cut = max(text.rfind("\n", at, end), text.rfind(" ", at + SLICE_CHARS // 2, end))
            end = cut if cut > at else end
        yield text[at:end]
        at = end


def sentences_in(chunk: Chunk) -> Iterator[Span]:
    """Give the places of a passage's sentences in its text, long ones cut at a word."""
    for start, end in blocks(chunk.text) if chunk.kind != "code" else [(0, len(chunk.text))]:
        for first, last in sentences(chunk.text[start:end]):
            begin, stop = start + first, start + last
            while stop - begin > MAX_QUOTE_CHARS:
                cut = chunk.text.rfind(" ", begin + MAX_QUOTE_CHARS // 2, begin + MAX_QUOTE_CHARS)
                cut = cut if cut > 0 else begin + MAX_QUOTE_CHARS
                yield begin, cut
                begin = cut + 1 if chunk.text[cut].isspace() else cut
            yield begin, stop


def beginnings(text: str) -> set[str]:
    """Return the beginnings of the words of a text, which are the same for most forms of a word."""
    return {word[:STEM_CHARS] for word in words_of(folded(text)) if len(word) > 1}


def words_of(text: str) -> list[str]:
    """Return letters and digits in runs, without case and typography; accents stay."""
    return re.findall(r"\w+", text.casefold().replace("œ", "oe").replace("æ", "ae"))


def in_order(parts: list[str], text: str) -> bool:
    at = 0
    for part in filter(None, parts):
        found = text.find(f" {part} ", at)
        if found < 0:
            return False
        at = found + len(part) + 1
    return True


def vector_of(text: str, language: str) -> dict[int, float]:
    """Return the stems of a text and their weights, as the search has them."""
    from ragline.connectors.vectors.bm25 import passage_vector

    vector: SparseVector = passage_vector(text, language)
    return dict(zip(vector.indices, vector.values, strict=True))
