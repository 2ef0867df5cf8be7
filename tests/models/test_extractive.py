"""The extractive model, and function models in general, through their back end."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

import pytest

from ragline.connectors.models.extractive import Extractive, best_sentences, shortened, split_sentences
from ragline.connectors.models.functions import FunctionsBackend
from ragline.errors import BackendError, Invalid, NotFound
from ragline.functions import FunctionModel, Request
from ragline.types import ChatRequest, Chunk, Context, Hit, Passage, Source

TERMS = """Conditions générales

La société a été fondée en 1998 par M. Dupont. Elle emploie env. 250 personnes, cf. l'annexe p. 4. Le délai de
livraison est de trois jours ouvrés en France. Les retours sont acceptés pendant 30 jours.

- livraison express : 24 heures
| produit | délai |
|---------|-------|
| vélo | 5 jours |
"""
BIKES = "Bikes leave the warehouse within five days. Returns are free. The battery has a two-year warranty."


def hit(text: str, score: float = 0.5, language: str = "en") -> Hit:
    chunk = Chunk(index=0, text=text, start=0, end=len(text), heading="", page=None, language=language)
    return Hit(
        Passage(id="p", file_id="f", version="v", user_id="u", name="n.txt", chunk=chunk), score=score, cosine=0.5
    )


def context(question: str, *hits: Sequence[Hit]) -> Context:
    return Context(question, [Source(number, f"f{number}", "n", each) for number, each in enumerate(hits, start=1)])


async def say(asked: Context | None, language: str = "en") -> str:
    answer = await FunctionsBackend("functions", [Extractive()]).chat(ChatRequest("extractive", {}, asked, language))
    return str(json.loads(json.dumps(answer))["choices"][0]["message"]["content"])


async def test_the_sentence_that_answers_is_quoted_with_the_number_of_its_source() -> None:
    asked = context("How long is the warranty of the battery?", [hit(TERMS, 0.9, "fr")], [hit(BIKES, 0.8)])
    assert await say(asked) == "From the documents: The battery has a two-year warranty. [2]"


async def test_a_french_question_gets_a_french_frame() -> None:
    asked = context("Quels sont les délais de livraison en France ?", [hit(TERMS, 0.9, "fr")])
    expected = "D'après les documents : Le délai de livraison est de trois jours ouvrés en France. [1]"
    assert await say(asked, "fr") == expected


async def test_accents_and_endings_do_not_matter() -> None:
    asked = context("delai livraisons", [hit(TERMS, 0.9, "fr")])
    assert "délai de livraison" in await say(asked, "fr")


async def test_without_a_word_in_common_the_best_passage_is_quoted() -> None:
    asked = context("xyzzy", [hit(BIKES, 0.2)], [hit("The sky over the port was grey. It rained all day.", 0.9)])
    assert await say(asked) == "From the documents: The sky over the port was grey. [2]"


def test_at_most_three_sentences_and_none_twice() -> None:
    winters = [hit(f"The battery {word} every winter.", 0.9) for word in ("freezes", "dies slowly", "sleeps", "hides")]
    found = [sentence.text for sentence in best_sentences(context("battery winter", [winters[0], *winters]))]
    assert (len(found), len(set(found))) == (3, 3)


@pytest.mark.parametrize(
    ("asked", "language", "words"),
    [
        pytest.param(None, "en", ["only quote", "none came", "`files`"], id="none-given-en"),
        pytest.param(None, "fr", ["ne fais que citer", "aucun n'a été joint", "`files`"], id="none-given-fr"),
        pytest.param(Context("why?"), "en", ["only quote", "no passage", "`files`"], id="none-found-en"),
        pytest.param(Context("pourquoi ?"), "fr", ["aucun passage", "`files`"], id="none-found-fr"),
        pytest.param(context("why?", [hit(" \n|---|")]), "en", ["no passage"], id="nothing-to-quote"),
    ],
)
async def test_without_passages_it_says_what_it_does(asked: Context | None, language: str, words: list[str]) -> None:
    answer = await say(asked, language)
    assert [word for word in words if word not in answer] == []


class Watched(list[Source]):
    """Sources that know which thread read them."""

    reader: int | None = None

    def __iter__(self) -> Iterator[Source]:
        self.reader = threading.get_ident()
        return super().__iter__()


async def test_computing_leaves_the_event_loop_free() -> None:
    sources = Watched(context("battery", [hit(BIKES)]).sources)
    assert "warranty. [1]" in await say(Context("battery", sources))
    assert sources.reader not in (None, threading.get_ident())


async def test_only_the_start_of_a_long_question_is_read() -> None:
    asked = context("battery " + "x" * 1992 + " bikes leave the warehouse within five days", [hit(BIKES)])
    assert await say(asked) == "From the documents: The battery has a two-year warranty. [1]"


def test_sentences_end_at_punctuation_bullets_and_rows_but_not_after_abbreviations() -> None:
    assert split_sentences(TERMS) == [
        "Conditions générales",
        "La société a été fondée en 1998 par M. Dupont.",
        "Elle emploie env. 250 personnes, cf. l'annexe p. 4.",
        "Le délai de livraison est de trois jours ouvrés en France.",
        "Les retours sont acceptés pendant 30 jours.",
        "- livraison express : 24 heures",
        "| produit | délai |",
        "| vélo | 5 jours |",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("short enough", "short enough", id="as-it-is"),
        pytest.param("one two three four", "one two…", id="at-a-word"),
        pytest.param("abcdefghijklmnop", "abcdefghi…", id="no-space"),
    ],
)
def test_a_long_quote_is_cut(text: str, expected: str) -> None:
    assert shortened(text, 12 if text.startswith("short") else 10) == expected


async def test_a_text_without_punctuation_is_quoted_in_part() -> None:
    answer = await say(context("warranty", [hit("warranty of the battery " * 100)]))
    assert 350 < len(answer) < 440
    assert answer.endswith("… [1]")


class Failing:
    name = "Failing"

    def __init__(self, id: str, error: Exception, *, after: int) -> None:
        self.id = id
        self._error = error
        self._after = after

    async def chat(self, request: Request) -> AsyncIterator[str]:
        for _ in range(self._after):
            yield "piece"
        raise self._error


def failing(error: Exception, *, after: int) -> tuple[FunctionsBackend, ChatRequest]:
    function: FunctionModel = Failing("failing", error, after=after)
    return FunctionsBackend("functions", [function]), ChatRequest("failing", {})


async def test_models_are_listed_as_functions() -> None:
    (model,) = await FunctionsBackend("mine", [Extractive()]).models()
    assert (model.id, model.backend, model.owned_by) == ("extractive", "mine", "function")


async def test_a_stream_has_the_pieces_and_an_end() -> None:
    backend = FunctionsBackend("functions", [Extractive()])
    request = ChatRequest("extractive", {}, context("battery", [hit(BIKES)]))
    events = [event async for event in backend.stream_chat(request)]
    assert events[-1] == b"data: [DONE]\n\n"
    deltas = [json.loads(event[6:])["choices"][0]["delta"] for event in events[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas) == await say(request.context)


async def test_a_function_that_fails_is_named_and_its_traceback_logged(caplog: pytest.LogCaptureFixture) -> None:
    backend, request = failing(ZeroDivisionError("oops"), after=0)
    with caplog.at_level(logging.ERROR), pytest.raises(BackendError, match="'failing' failed: ZeroDivisionError;"):
        await backend.chat(request)
    with pytest.raises(BackendError, match="failing"):
        await anext(backend.stream_chat(request))
    assert "Traceback" in caplog.text


async def test_a_function_that_fails_later_breaks_the_stream() -> None:
    backend, request = failing(ValueError("oops"), after=1)
    async with aclosing(backend.stream_chat(request)) as events:
        assert b"assistant" in await anext(events)
        assert b"piece" in await anext(events)
        with pytest.raises(BackendError, match="'failing' failed: ValueError;"):
            await anext(events)


async def test_an_error_of_ragline_stays_what_it_is() -> None:
    backend, request = failing(Invalid("too long"), after=0)
    with pytest.raises(Invalid, match="too long"):
        await backend.chat(request)


async def test_an_unknown_function_and_embeddings_are_refused() -> None:
    backend = FunctionsBackend("functions", [Extractive()])
    with pytest.raises(NotFound, match="'other'.*extractive"):
        await backend.chat(ChatRequest("other", {}))
    with pytest.raises(BackendError, match="no embeddings"):
        await backend.embeddings("extractive", ["text"])
    await backend.close()
