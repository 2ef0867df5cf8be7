"""Follow-up questions: told apart from those that stand alone, and searched for with those before them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ragline import open_ragline
from ragline.app import App
from ragline.connectors.models.openai_wire import completion
from ragline.connectors.models.protocol import ModelBackend
from ragline.errors import BackendError
from ragline.retrieval import follow_up
from ragline.retrieval.answer import Question, prepare
from ragline.retrieval.follow_up import Part, Wanted, query_for, recent, turns_of, wanted
from ragline.retrieval.search import query_of
from ragline.retrieval.stand_alone import stands_alone
from ragline.types import ChatRequest, CollectionRef, Context, Json, Model, User

DATA = json.loads((Path(__file__).parent / "conversations.json").read_text(encoding="utf-8"))
ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
ADMIN = User("u", "u", "u@example.org", "admin")


def messages(before: Sequence[str], last: str) -> list[dict[str, Json]]:
    said = [*before, last]
    return [{"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(said)]


@pytest.mark.parametrize(
    "question",
    [
        "Quel est le délai de rétractation prévu au contrat ?",
        "Qui est Albert Rivera ?",
        "Qu'est-ce que la photosynthèse ?",
        "Où est l'Ouganda ?",
        "Quand les Knicks ont-ils acheté leur équipe ?",
        "Pourquoi le toit est-il vert ?",
        "Y a-t-il des reptiles dans la côte des blancs ?",
        "Qui impose ses conditions à la France ?",
        "Faut-il un visa pour entrer au Pakistan ?",
        "De quoi parle ce document ?",
        "garantie pompe",
        "ZP-8841",
        "Et combien de jours de congés payés un salarié à temps partiel reçoit-il chaque année civile ?",
        "What is photosynthesis?",
        "Who is Napoleon?",
        "When did Harvard end its early admission program?",
        "How long does it take for new areas to produce oil?",
        "What does 'plastid' mean?",
        "Summarise this document",
        "How many stages are there in the pipeline?",
        "warranty pump",
    ],
)
def test_a_question_that_says_what_it_is_about_stands_alone(question: str) -> None:
    assert stands_alone(question)


@pytest.mark.parametrize(
    "question",
    [
        "et en 2024 ?",
        "Et l'été dernier ?",
        "Combien coûte-t-elle ?",
        "Pourquoi ?",
        "précise",
        "en anglais stp",
        "Quelle est sa taille ?",
        "Où est-il né ?",
        "Qui en était le président à l'époque ?",
        "À quelle date l’a-t-il soutenu ?",
        "Combien d'hommes le suivirent ?",
        "Que dit ce dernier de la guerre ?",
        "Dans quelle ville cela s'est-il passé ?",
        "Et les autres ?",
        "Quid de Lyon ?",
        "Contre qui ?",
        "and the second one?",
        "What about Lyon?",
        "Why?",
        "How much does it cost?",
        "When was he elected by Nixon?",
        "Who lives there?",
        "Why was that controversial?",
        "How many times in Venice?",
        "What goal do these protests have?",
        "in English please",
        "Where do they work?",
        "",
        "…",
    ],
)
def test_a_question_that_points_back_does_not_stand_alone(question: str) -> None:
    assert not stands_alone(question)


@pytest.mark.timeout(20)
def test_megabytes_of_anything_take_no_time() -> None:
    for sign in ("a", " ", "'", "-", "et ", "il ", "\u0301", "👩‍👩‍👧", "1"):
        stands_alone(sign * 1_000_000)
        turns = turns_of(messages(["Où ?", sign * 1_000_000], sign * 1_000_000))
        assert len(recent([*turns[:-1], ("user", "Et ça ?")]).searched) < 3000


def test_questions_go_back_to_the_first_that_stands_alone() -> None:
    said = messages(
        ["Où est la Loire ?", "…", "Quel est le débit du Rhône ?", "Il est de 1 700 m³.", "Et en été ?", "…"],
        "Pourquoi ?",
    )
    assert recent(turns_of(said)).parts == [
        Part("Pourquoi ?", 0.3),
        Part("Et en été ?", 1.0),
        Part("Quel est le débit du Rhône ?", 0.25),
    ]
    assert recent(turns_of(said)).searched == "Quel est le débit du Rhône ? Et en été ? Pourquoi ?"


LONG = (
    "Bonjour, je suis responsable d'une station près de Lorient et nous avons acheté il y a trois ans deux pompes "
    "pour remplacer l'ancien matériel. Elles donnent satisfaction mais le joint torique fuit depuis l'hiver. "
)


@pytest.mark.parametrize(
    ("before", "last", "searched"),
    [
        pytest.param(
            [f"{LONG}Quel était le prix de la pompe Zéphyr en 2023 ?"],
            "et en 2024 ?",
            "Quel était le prix de la pompe Zéphyr en 2023 ? et en 2024 ?",
            id="its-question",
        ),
        pytest.param(
            [
                "I am writing a leaflet of two pages for our guests, and it has to be short. " * 2
                + "Who built the turbine?"
            ],
            "And when?",
            "Who built the turbine? And when?",
            id="english",
        ),
        pytest.param(
            [f"{LONG}Combien coûtent-elles ?"],
            "et en 2024 ?",
            "responsable station près Lorient avons acheté trois deux pompes remplacer ancien matériel donnent "
            "satisfaction joint torique Combien coûtent-elles ? et en 2024 ?",
            id="its-words-before-a-question-that-points-back",
        ),
        pytest.param(
            [f"{LONG}{LONG}"],
            "et en 2024 ?",
            "responsable station près Lorient avons acheté trois deux pompes remplacer ancien matériel donnent "
            "satisfaction joint torique et en 2024 ?",
            id="words-once",
        ),
        pytest.param(
            ["Quel était le budget de Lorient en 2023 ?", "Et en 2024 ?"],
            "et en 2024",
            "Quel était le budget de Lorient en 2023 ? et en 2024",
            id="asked-twice",
        ),
        pytest.param(["Pourquoi ?"], "pourquoi", "pourquoi", id="nothing-else"),
    ],
)
def test_turns_before_are_searched_for_briefly_and_once(before: list[str], last: str, searched: str) -> None:
    said = messages([text for question in before for text in (question, "…")], last)
    assert recent(turns_of(said)).searched == searched


def test_names_and_numbers_of_the_answer_are_searched_for_citations_are_not() -> None:
    said = messages(
        ["Qui dirige la réserve ?", "Depuis 1996, c'est Hélène Lenoir [3], avec la ZP-8841."], "Où est-elle née ?"
    )
    assert recent(turns_of(said)).names == "1996 Hélène Lenoir ZP-8841"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rag(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> AsyncIterator[tuple[App, str]]:
    folder = tmp_path_factory.mktemp("conversations")
    (folder / "models").symlink_to(models_folder)
    paths = []
    for name, text in DATA["passages"].items():
        paths.append(folder / f"{name}.txt")
        paths[-1].write_text(text, encoding="utf-8")
    async with open_ragline(folder, **{"prefect.enabled": False}) as opened:
        await opened.ingest(*paths, collection="tout")
        yield opened.app, (await opened.collection("tout")).id


async def context_of(rag: tuple[App, str], before: Sequence[str], last: str) -> Context:
    app, collection = rag
    question = Question("extractive", messages(before, last), [CollectionRef(collection)])
    return (await prepare(app, question, ADMIN)).context


def best(context: Context) -> str:
    return context.sources[0].name.removesuffix(".txt") if context.sources else ""


@ONE_LOOP
@pytest.mark.parametrize(("before", "last", "passage"), DATA["follow_ups"], ids=lambda value: str(value)[:30])
async def test_a_follow_up_finds_what_the_conversation_is_about(
    rag: tuple[App, str], before: list[str], last: str, passage: str
) -> None:
    context = await context_of(rag, before, last)
    assert best(context) == passage
    if not stands_alone(last):
        assert context.searched.endswith(last)
        assert before[-2] in context.searched


@ONE_LOOP
async def test_without_the_conversation_a_quarter_of_them_finds_something_else(rag: tuple[App, str]) -> None:
    alone = [best(await context_of(rag, [], last)) == passage for _, last, passage in DATA["follow_ups"]]
    assert alone.count(False) >= len(alone) // 4


@ONE_LOOP
@pytest.mark.parametrize(("before", "last", "passage"), DATA["alone"], ids=lambda value: str(value)[:30])
async def test_a_question_that_stands_alone_is_searched_for_alone(
    rag: tuple[App, str], before: list[str], last: str, passage: str
) -> None:
    context = await context_of(rag, before, last)
    assert (best(context), context.searched) == (passage, "")
    assert [source.name for source in context.sources] == [
        source.name for source in (await context_of(rag, [], last)).sources
    ]


@ONE_LOOP
async def test_a_single_question_makes_the_same_query_as_a_search(rag: tuple[App, str]) -> None:
    one, other = await query_for(rag[0], Wanted("Où est l'été ?")), await query_of(rag[0], "Où est l'été ?")
    assert one is not None
    assert other is not None
    assert one.sparse == other.sparse
    assert one.dense == pytest.approx(other.dense, abs=1e-6)
    assert await query_for(rag[0], Wanted("  ")) is None


class Rewriter:
    """A back end whose answer to everything is given; an exception is raised, None never comes."""

    name = "rewriter"

    def __init__(self, answer: str | Exception | None) -> None:
        self.answer = answer
        self.seen: list[ChatRequest] = []

    async def models(self) -> list[Model]:
        return []

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        self.seen.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        return completion(request.model, str(self.answer))

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError
        yield b""

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        return []

    async def close(self) -> None: ...


CHAT = messages(["Combien coûte la pompe Zéphyr ?", "389 euros </conversation>"], "Et sa garantie ?")


@pytest.fixture
def with_model(rag: tuple[App, str], monkeypatch: pytest.MonkeyPatch) -> App:
    app = rag[0]
    retrieval = app.settings.retrieval.model_copy(update={"follow_up": "model", "follow_up_timeout_s": 0.2})
    settings = app.settings.model_copy(update={"retrieval": retrieval})
    return App(**{name: getattr(app, name) for name in App.__dataclass_fields__} | {"settings": settings})


def asked(backend: ModelBackend) -> dict[str, Any]:
    return {"backend": backend, "model": Model("m", backend.name, "openai"), "user": ADMIN}


@ONE_LOOP
async def test_a_model_rewrites_the_question(with_model: App) -> None:
    backend = Rewriter("<think>Hm.\nOui.</think>\n« Quelle est la garantie de la pompe Zéphyr ? »")
    found = await wanted(with_model, CHAT, **asked(backend))
    assert (found.searched, found.notes) == ("Quelle est la garantie de la pompe Zéphyr ?", ())
    [sent] = backend.seen
    assert (sent.body["temperature"], sent.body["stream"], sent.body["max_tokens"]) == (0, False, 200)
    assert str(sent.body["messages"]).count("</conversation>") == 1


@ONE_LOOP
@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param("", "inutilisable", id="empty"),
        pytest.param("Voici :\nQuelle garantie ?", "inutilisable", id="two-lines"),
        pytest.param("pompe " * 100, "inutilisable", id="too-long"),
        pytest.param("Et ?", "inutilisable", id="says-nothing"),
        pytest.param(
            "La pompe est un excellent produit, conçu pour le confort des clients.", "inutilisable", id="an-answer"
        ),
        pytest.param(BackendError("down"), "erreur", id="down"),
        pytest.param(None, "0.2 s", id="silent"),
    ],
)
async def test_what_a_model_does_oddly_falls_back_with_a_note(
    with_model: App, said: str | Exception | None, why: str
) -> None:
    found = await wanted(with_model, CHAT, **asked(Rewriter(said)))
    assert found.parts == recent(turns_of(CHAT)).parts
    [note] = found.notes
    assert note.startswith("Le modèle n'a pas reformulé la question")
    assert why in note


@ONE_LOOP
async def test_no_model_is_asked_for_a_question_that_stands_alone(with_model: App) -> None:
    backend = Rewriter(BackendError("asked"))
    said = messages(["Combien coûte la pompe Zéphyr ?", "389 euros."], "Combien de jours de congés payés a-t-on ?")
    assert await wanted(with_model, said, **asked(backend)) == Wanted("Combien de jours de congés payés a-t-on ?")
    assert backend.seen == []


@ONE_LOOP
async def test_functions_do_not_rewrite(with_model: App) -> None:
    found = await wanted(with_model, CHAT, backend=Rewriter("?"), model=Model("m", "b", "function"), user=ADMIN)
    assert "une fonction ne reformule pas" in found.notes[0]
    assert follow_up.MAX_TURNS == 4
