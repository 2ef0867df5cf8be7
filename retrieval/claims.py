"""What of a statement can be looked for in a passage: its numbers and dates, its names, and what it quotes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ragline.retrieval.figures import Figure, figures
from ragline.retrieval.statements import Span, Statement

MAX_CHARS = 5000
"""Of a statement without an end only so much is looked at, what stands last."""
MIN_ACRONYM = 2
SHOUTED = 0.6
"""Where so large a share of the words is in capitals, capitals say nothing."""

TOKEN = re.compile(r"[^\W_]\w*(?:[-.'’/@&+_]\w+)*")
ELISION = re.compile(r"(?:[cdjlmnst]|(?:jus|lors|puis|quoi)?qu)['’]", re.IGNORECASE)
POSSESSIVE = re.compile(r"['’]s?$")
OPENING = re.compile(r"(?:^|[!?:;…|•–—(\[«“\"*#>])[\s*_«“\"(\[]*$")
"""Before a word that has a capital because something begins with it."""
SIGNED = re.compile(r"[_@]|\w{2}[./]\w{2}")
INNER_CAPITAL = re.compile(r"[a-zà-ÿ][A-ZÀ-Þ]")
_ORDINARY = """i le la les un une des du de au aux et ou où à en dans sur sous par pour avec sans chez vers entre depuis
    pendant avant après contre selon comme que qui quoi quel quelle dont est sont il elle ils elles on ce cet
    cette ces son sa ses leur leurs si mais donc car ainsi enfin puis aussi alors cependant toutefois néanmoins
    pourtant ensuite d'après hier aujourd'hui demain oui non voir cf source sources document documents article
    articles section sections chapitre chapter tableau table figure fig annexe appendix page pages partie part
    point étape step note notes the a an of to in on at by for with without from into about against between
    during before after and or but nor so then than that this these those which who whose what when where why
    how is are was were be it its he she they his her their we our you your as there here according however
    moreover therefore also thus hence furthermore additionally finally yes no see based mr mrs ms dr m mm mme
    mlle pr prof st"""
ORDINARY = frozenset(_ORDINARY.split())
"""Words that begin sentences, or are written with a capital, without being names."""


@dataclass(frozen=True, slots=True)
class Name:
    """A word that stands for itself: a capitalised one, an acronym, or (`exact`) an identifier."""

    text: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Claims:
    """What is looked for. `quotes` are without their quotation marks."""

    figures: Sequence[Figure] = ()
    names: Sequence[Name] = ()
    quotes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.figures) + len(self.names) + len(self.quotes)


def claims_of(statement: Statement, *, language: str, known: Collection[str] = ()) -> Claims:
    """Return what a statement says that can be looked for. `known` are names that also count where a sentence begins.

    Words for numbers are read in `language`.
    """
    skipped = max(0, len(statement.text) - MAX_CHARS)
    text = statement.text[skipped:]
    numbers = [each for each in figures(text, languages=[language]) if not each.counted]
    spans = [(each.start, each.end) for each in numbers]
    quotes = [text[start - skipped + 1 : end - skipped - 1] for start, end in statement.quotes if start >= skipped]
    names = list(dict.fromkeys(names_in(text, spans, known))) if language != "de" else []
    return Claims(numbers, names, [quote for quote in quotes if TOKEN.search(quote)])


def names_in(text: str, taken: Sequence[Span] = (), known: Collection[str] = ()) -> Iterator[Name]:
    """Give the names of a text; of words that begin something those in `known`, and those before another name."""
    tokens = list(TOKEN.finditer(text))
    words = [match for match in tokens if match.group()[0].isalpha()]
    shouted = len(words) > MIN_ACRONYM and sum(map(is_acronym, (word.group() for word in words))) > SHOUTED * len(words)
    said = bytearray(len(text))
    for start, end in taken:
        said[start:end] = b"\1" * len(said[start:end])
    for place, match in enumerate(tokens):
        if any(said[match.start() : match.end()]):
            continue
        word = bare(match.group())
        if is_identifier(word):
            yield Name(word, exact=True)
        elif shouted or not word or not word[0].isupper() or word.lower() in ORDINARY:
            continue
        elif (
            is_acronym(word)
            or word in known
            or not OPENING.search(text[max(0, match.start() - 8) : match.start()])
            or ((after := following(text, tokens, place)) and after[0].isupper() and after.lower() not in ORDINARY)
        ):
            yield Name(word)


def following(text: str, tokens: Sequence[re.Match[str]], place: int) -> str:
    """Return the word right behind one, a single blank between; "" where there is none."""
    if place + 1 == len(tokens) or text[tokens[place].end() : tokens[place + 1].start()] != " ":
        return ""
    return bare(tokens[place + 1].group())


def in_the_middle(text: str) -> set[str]:
    """Return the capitalised words that stand within sentences: names, also where they begin another."""
    return {name.text for name in names_in(text) if not name.exact}


def bare(word: str) -> str:
    """Return a word without what is elided before it, l'Italie, and without a possessive, Dupont's."""
    return POSSESSIVE.sub("", ELISION.sub("", word, count=1) if ELISION.match(word) else word)


def is_acronym(word: str) -> bool:
    letters = [letter for letter in word if letter.isalpha()]
    return len(letters) >= MIN_ACRONYM and all(letter.isupper() for letter in letters)


def is_identifier(word: str) -> bool:
    """Tell whether a word is a code, an address or the name of a file: digits beside letters, or signs inside."""
    lettered = any(map(str.isalpha, word))
    if lettered and any(map(str.isdigit, word)):
        return True
    return lettered and bool(SIGNED.search(word) or INNER_CAPITAL.search(word))


def folded(text: str) -> str:
    """Return a text in lower case without accents, ligatures apart: Œuvre becomes oeuvre."""
    text = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe").replace("æ", "ae").replace("’", "'"))
    return "".join(letter for letter in text if not unicodedata.combining(letter))
