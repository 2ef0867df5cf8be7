"""Does what an answer cites stand in the passages that it cites? Numbers, names and quotations are looked for.

What is not looked at: negation, signs, who did what to whom, and whether a conclusion follows. A statement in another
language than its source is checked by its numbers, quotations and names, those as far as they begin alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ragline.language import language_of
from ragline.retrieval.claims import Claims, claims_of, in_the_middle
from ragline.retrieval.evidence import Evidence, Quote, vector_of
from ragline.retrieval.prompt import INSTRUCTIONS
from ragline.retrieval.statements import Statement, statements
from ragline.types import Shown, Source

ENOUGH_WORDS = 0.5
"""Share of its words that must occur of a statement without numbers, names and quotations; 0.5: see the test of it."""
MAX_CITATIONS = 500
MAX_STATEMENT_CHARS = 2000
"""Of a statement that is longer the language and the words are taken from its end."""
MAX_MISSING = 20
MIN_COPIED = 4
"""Characters beside a mark that say that it was copied with them."""
SHOWN_CHARS = 80
PHRASES = frozenset(
    [
        "selon",
        "according",
        "d'après",
        "d’après",
        "source",
        "sources",
        "document",
        "documents",
        "voir",
        "see",
        "cf",
        "passage",
        "passages",
    ]
)

MAX_SHOWN_CHARS = 1000
"""Of a longer sentence the beginning is sent with each of its numbers."""


@dataclass(frozen=True, slots=True)
class Citation:
    """One number in an answer. `span` is where the statement is that cites it, in characters of the answer.

    `missing` is what was not found, in the words of the statement, `checked` how many things were looked for: where it
    is 0, there was nothing to check, or its words are of another language. `quote` is None for an unknown source.
    """

    n: int
    supported: bool
    span: tuple[int, int]
    sentence: str
    missing: Sequence[str]
    checked: int
    source: Source | None
    quote: Quote | None


def check(answer: str, sources: Sequence[Source], shown: Sequence[Shown] = ()) -> list[Citation]:
    """Return an entry for each number that each statement cites, in reading order; at most `MAX_CITATIONS`.

    Of several sources of one statement each claim must be in one, and each must hold something. What a model was shown
    around the passages counts as well. CPU-bound: some milliseconds, seconds for whole books.
    """
    answer = answer.encode("utf-8", "replace").decode()
    known = {
        source.number: Evidence(source, [one.hit for one in shown if one.number == source.number]) for source in sources
    }
    hits = [*(hit for source in sources for hit in source.hits), *(one.hit for one in shown)]
    texts = [" ".join(hit.passage.chunk.text.split()) for hit in hits]
    texts += INSTRUCTIONS.values()  # small models repeat them, with the [1] that is in them

    def copied(before: str, mark: str, after: str) -> bool:
        pieces = [f"{before}{mark}"] if len(before.strip()) >= MIN_COPIED else []
        pieces += [f"{mark}{after}"] if len(after.strip()) >= MIN_COPIED else []
        return any(" ".join(piece.split()) in text for piece in pieces for text in texts)

    found = list(islice(statements(answer, says=says_something, foreign=copied), MAX_CITATIONS))
    names = set[str]().union(*(in_the_middle(each.text[-MAX_STATEMENT_CHARS:]) for each in found))
    entries = (one for each in found for one in checked(each, answer, known, names))
    return list(islice(entries, MAX_CITATIONS))


def checked(statement: Statement, answer: str, known: dict[int, Evidence], names: set[str]) -> list[Citation]:
    """Return the entries of one statement."""
    cited = [known[number] for number in statement.numbers if number in known]
    text = statement.text[-MAX_STATEMENT_CHARS:]
    language = language_of(text, default=language_of(answer))
    claims = claims_of(statement, language=language, known=names)
    own = [looked_for(claims, evidence, text, language) for evidence in cited]
    together = set.intersection(*(set(missing) for missing, _ in own)) if own else set[str]()
    by_number = dict(zip((evidence.source.number for evidence in cited), own, strict=True))
    entries = []
    for number in statement.numbers:
        evidence = known.get(number)
        if evidence is None:
            missing, count = [f"[{number}]"], 1
        else:
            missing, count = by_number[number]
            holds = not missing or len(missing) < count
            missing = [each for each in missing if each in together] if holds else missing
        entries.append(
            Citation(
                n=number,
                supported=not missing,
                span=(statement.start, statement.end),
                sentence=answer[statement.start : statement.end][:MAX_SHOWN_CHARS],
                missing=missing[:MAX_MISSING],
                checked=count,
                source=evidence.source if evidence else None,
                quote=evidence.best(text) if evidence else None,
            )
        )
    return entries


def looked_for(claims: Claims, evidence: Evidence, text: str, language: str) -> tuple[list[str], int]:
    """Return what of a statement a source does not hold, and how many things were looked for in it."""
    if len(claims) == 0:
        return words_looked_for(evidence, text, language)
    translated = language not in evidence.words
    missing = [each.text for each in claims.figures if not evidence.has_figure(each)]
    missing += [each.text for each in claims.names if not evidence.has_name(each, translated=translated)]
    missing += [shortened(each) for each in claims.quotes if not evidence.has_quote(each)]
    return list(dict.fromkeys(missing)), len(claims)


def words_looked_for(evidence: Evidence, text: str, language: str) -> tuple[list[str], int]:
    """Return the words that are not there where most are not; nothing for another language than the source's."""
    words = evidence.words.get(language)
    if words is None:
        return [], 0
    stems = {word: list(vector_of(word, language)) for word in dict.fromkeys(text.split())}
    asked = [word for word, found in stems.items() if found and not said_of_sources(word)]
    lost = [word for word in asked if not words.intersection(stems[word])]
    enough = len(asked) - len(lost) >= ENOUGH_WORDS * len(asked)
    return ([] if enough else [word.strip(".,;:!?()[]«»“”\"'…*_") for word in lost]), len(asked)


def says_something(text: str) -> bool:
    """Tell whether a part of a sentence has content: more than what links it, or names a source."""
    return any(
        vector_of(word, "fr") and vector_of(word, "en") and not said_of_sources(word) for word in text.split()[:50]
    )


def said_of_sources(word: str) -> bool:
    return word.strip(".,;:()").lower() in PHRASES


def shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1].rstrip() + "…"
