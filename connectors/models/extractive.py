"""The model without a language model: it answers with the sentences that fit the question best, word for word."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from ragline.functions import Request
from ragline.types import Context, Hit

MAX_QUOTES = 3
MAX_QUESTION_CHARS = 2000
"""Of a longer question only the start is compared: a question of megabytes takes seconds."""

MAX_QUOTE_CHARS = 400
MIN_WORDS = 4
"""Shorter sentences are mostly headings and table heads: quoted only where there is nothing else."""

WORTH_QUOTING = 0.6
"""A second and third sentence are quoted when they score at least so much of what the best one does."""

RANK_WEIGHT = 0.15
"""How much the first hit's place counts beside the share of the question's words, which runs from 0 to 1."""

WORTH_OF_EARLIER = 0.5
"""How much the words of earlier questions count, where the question needs them."""

SAME_SENTENCE = 0.8
"""Two sentences with so large a share of their words in common are one: overlapping passages repeat each other."""

FRENCH = {
    "lead": "D'après les documents :",
    "nothing_given": "Je ne fais que citer des documents, et aucun n'a été joint à la question : "
    'ajoutez-en dans `files`, par exemple [{"type": "file", "id": "…"}].',
    "nothing_found": "Je ne fais que citer des documents, et aucun passage des documents joints dans `files` "
    "ne correspond à la question.",
}
ENGLISH = {
    "lead": "From the documents:",
    "nothing_given": "I only quote documents, and none came with the question: "
    'add some in `files`, such as [{"type": "file", "id": "…"}].',
    "nothing_found": "I only quote documents, and no passage of the documents given in `files` matches the question.",
}

_BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:(?:[-*•–▪◦]|#{1,6}|\d{1,3}[.)])\s|\|))")
"""Where a sentence ends whatever the punctuation: an empty line, before a bullet, a title, a row of a table."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'»”)\]]*\s+(?=[\"'«“(\[¿¡]*[A-ZÀ-ÖØ-Þ0-9])|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[«'’])(?:[A-ZÀ-Þ]|MM|Mme|Mlle|Mr|Mrs|Ms|Dr|Pr|Prof|St|Ste|No|Nos|no|n°|art|al|p|pp|fig|Fig|vol|éd|ed"
    r"|cf|Cf|ex|env|av|ap|vs|etc|approx|e\.g|i\.e|c\.-à-d|J\.-C)\.$"
)
_TABLE_RULE = re.compile(r"[\s|:+=-]*")


class Extractive:
    """Quotes one to three sentences of the retrieved passages, each followed by the number of its source, `[n]`.

    The frame around them is French for a French question, otherwise English. The same request gives the same answer.
    """

    id = "extractive"
    name = "Extractive (quotes, no language model)"

    async def chat(self, request: Request) -> AsyncGenerator[str, None]:
        words = FRENCH if request.language == "fr" else ENGLISH
        if request.retrieved is None:
            yield words["nothing_given"]
            return
        quotes = await asyncio.to_thread(best_sentences, request.retrieved)
        if not quotes:
            yield words["nothing_found"]
            return
        yield words["lead"]
        for quote in quotes:
            yield f" {shortened(quote.text)} [{quote.source}]"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage. `source` is the document's number in the context, `rank` its passage's, from 0."""

    text: str
    source: int
    rank: int
    language: str


def best_sentences(context: Context) -> list[Sentence]:
    """Return at most `MAX_QUOTES` sentences that answer the question, best first; one where none shares a word."""
    candidates = _candidates(context)
    scores = _scores(context.question, candidates, beside=context.searched)
    order = sorted(range(len(candidates)), key=lambda at: (-scores[at], candidates[at].rank, at))
    chosen: list[Sentence] = []
    for at in order:
        alone = not chosen
        good = scores[at] > RANK_WEIGHT and scores[at] >= WORTH_QUOTING * scores[order[0]]
        if alone or (good and not any(_repeats(candidates[at].text, other.text) for other in chosen)):
            chosen.append(candidates[at])
        if len(chosen) == MAX_QUOTES:
            break
    return chosen


def split_sentences(text: str) -> list[str]:
    """Return the sentences, bullets and table rows of `text` in order, white space collapsed, none empty."""
    return [sentence for block in _BLOCK.split(text) for sentence in _sentences(" ".join(block.split()))]


def shortened(text: str, limit: int = MAX_QUOTE_CHARS) -> str:
    """Return `text`, cut at a word and ended with … where it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    head, space, _ = text[:limit].rpartition(" ")
    return (head if space else text[: limit - 1]).rstrip(" ,;:") + "…"


def _candidates(context: Context) -> list[Sentence]:
    """Return the sentences of all passages, those of the best passage first; short ones only if there are no others."""
    ranked: list[tuple[int, Hit]] = [(source.number, hit) for source in context.sources for hit in source.hits]
    ranked.sort(key=lambda pair: -pair[1].score)
    found = [
        Sentence(text, number, rank, hit.passage.chunk.language)
        for rank, (number, hit) in enumerate(ranked)
        for text in split_sentences(hit.passage.chunk.text)
    ]
    return [sentence for sentence in found if len(sentence.text.split()) >= MIN_WORDS] or found


def _scores(question: str, sentences: Sequence[Sentence], *, beside: str = "") -> list[float]:
    """Return each sentence's share of the question's words, the rare ones counting more, plus a little for its rank.

    The words of `beside`, what was searched for with the question, count half.
    """
    from ragline.connectors.vectors.bm25 import passage_vector, query_vector

    counts = dict.fromkeys(query_vector(beside[:MAX_QUESTION_CHARS]).indices, WORTH_OF_EARLIER)
    counts |= dict.fromkeys(query_vector(question[:MAX_QUESTION_CHARS]).indices, 1.0)
    words = [counts.keys() & passage_vector(each.text, each.language).indices for each in sentences]
    seen_in = Counter(word for found in words for word in found)
    rarity = {word: counts[word] * math.log1p(len(sentences) / count) for word, count in seen_in.items()}
    most = sum(rarity.values()) or 1.0
    return [
        sum(rarity[word] for word in found) / most + RANK_WEIGHT / (1 + sentence.rank)
        for found, sentence in zip(words, sentences, strict=True)
    ]


def _sentences(block: str) -> list[str]:
    """Split one block at the ends of sentences, not after abbreviations and initials; rules of tables give nothing."""
    if _TABLE_RULE.fullmatch(block):
        return []
    out: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(block):
        head = block[start : end.start()]
        if not _ABBREVIATION.search(head):
            out.append(block[start : end.end()].strip())
            start = end.end()
    return [sentence for sentence in [*out, block[start:].strip()] if sentence]


def _repeats(text: str, other: str) -> bool:
    one, two = set(text.lower().split()), set(other.lower().split())
    return len(one & two) >= SAME_SENTENCE * len(one | two)
