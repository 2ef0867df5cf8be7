"""A question that needs those before it is searched for together with them; one that stands alone never is.

Measured on 30 French and 30 English conversations over PIAF and XQuAD, whose last question is elliptical, recall@5:
the last question alone .500 and .833, all questions as one text .933 and .967, this .933 and 1.000. On 500 French
questions after one about something else: alone .908, all as one text .742, this .908.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragline.app import App
from ragline.connectors.models.openai_wire import first_choice
from ragline.connectors.models.protocol import ModelBackend
from ragline.connectors.vectors.bm25 import query_vector
from ragline.connectors.vectors.protocol import Query
from ragline.errors import RaglineError
from ragline.language import language_of
from ragline.retrieval.messages import text_in
from ragline.retrieval.search import NO_WORDS, embedded, searchable
from ragline.retrieval.stand_alone import content_words, folded, stands_alone
from ragline.retrieval.usage import Meter
from ragline.types import ChatRequest, Json, Model, SparseVector, User

log = logging.getLogger(__name__)

MAX_TURNS = 4
"""Questions before the last one that are searched for with it at most."""
MAX_TURN_CHARS = 1000
EARLIER, FALLING = 0.5, 0.5
"""Weight of the question before, and what that of each one further back is of it."""
SAYS_NOTHING = 0.3
"""Weight of a last question such as `Pourquoi ?`: the one before counts whole."""
OF_ANSWER = 0.3
"""Weight of the names and numbers of the answer before, among the words."""
MAX_NAMES = 12
BRIEF_CHARS = 120
"""A longer turn before the question is cut down to what it asks."""
MOST_WORDS = 16
"""What counts of a turn that asks nothing by itself: so many of its words at most."""

MAX_REWRITTEN_CHARS = 400
REWRITTEN_TOKENS = 200
STEM_CHARS = 5

_NAMES = re.compile(r"(?<![.!?:] )(?<![.!?:]\n)(?<!^)\b(?:[A-ZÀ-ÖØ-Þ][\w'-]{1,40}|\w{0,20}\d[\w-]{0,20})")
"""Words of an answer that name something: written large inside a sentence, or with a digit."""
_WORD = re.compile(r"\w[\w-]{1,40}")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_CITED = re.compile(r"\[\d{1,4}\]")

REWRITE = {
    "en": (
        "Below are the last turns of a conversation. Write the last question of the user anew, so that it can be "
        "understood without the rest: put the names in that it means. Do not answer it. Reply with that one question "
        "and nothing else, in its language."
    ),
    "fr": (
        "Voici les derniers échanges d'une conversation. Reformule la dernière question de l'utilisateur pour qu'elle "
        "se comprenne sans le reste : remets-y les noms dont il s'agit. N'y réponds pas. Écris cette seule question et "
        "rien d'autre, dans sa langue."
    ),
}
NOT_REWRITTEN = {
    "en": "The model did not rewrite the follow-up question ({why}); the questions before were searched for with it.",
    "fr": "Le modèle n'a pas reformulé la question ({why}) ; les questions précédentes ont été cherchées avec elle.",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A text that is searched for, and how much it counts, the question itself being 1."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for to answer a question: it alone, or `parts`, the last question first.

    `names` are words of the answer before; `notes` say what fell back, in the language of the question.
    """

    question: str
    parts: Sequence[Part] = ()
    names: str = ""
    notes: Sequence[str] = ()

    @property
    def searched(self) -> str:
        """What was searched for in its order in the conversation; "" where it is the question itself."""
        return " ".join(part.text.strip() for part in reversed(self.parts))


async def wanted(
    app: App, messages: Sequence[Mapping[str, Json]], *, backend: ModelBackend, model: Model, user: User
) -> Wanted:
    """Return what to search for, as retrieval.follow_up says. Never fails for the model that is to rewrite it."""
    settings = app.settings.retrieval
    turns = turns_of(messages)
    question = turns[-1][1] if turns else ""
    if settings.follow_up == "off" or not needs_earlier(turns):
        return Wanted(question)
    together = recent(turns)
    if settings.follow_up == "recent":
        return together
    language = language_of(question)
    try:
        async with asyncio.timeout(settings.follow_up_timeout_s):
            return Wanted(question, [Part(await rewritten(app, turns, backend, model, user))])
    except TimeoutError:
        why = f"{settings.follow_up_timeout_s:g} s"
    except (RaglineError, OddAnswer) as error:
        log.info("follow-up not rewritten model=%s reason=%s", model.id, type(error).__name__)
        why = str(error) if isinstance(error, OddAnswer) else ("erreur" if language == "fr" else "it failed")
    note = NOT_REWRITTEN.get(language, NOT_REWRITTEN["en"]).format(why=why)
    return Wanted(question, together.parts, together.names, [note])


class OddAnswer(Exception):
    """A model that was asked to rewrite a question gave something else."""


def turns_of(messages: Sequence[Mapping[str, Json]]) -> list[tuple[str, str]]:
    """Return (role, text) of what user and model said last, up to the last question, which is last and whole."""
    turns: list[tuple[str, str]] = []
    asked = 0
    for message in reversed(messages):
        role = message.get("role")
        if role == "user":
            turns.append(("user", text_in(message) if not asked else text_in(message)[:MAX_TURN_CHARS]))
            asked += 1
        elif role == "assistant" and asked and (said := text_in(message)[:MAX_TURN_CHARS]).strip():
            turns.append(("assistant", said))
        if asked > MAX_TURNS:
            break
    return turns[::-1]


def needs_earlier(turns: Sequence[tuple[str, str]]) -> bool:
    """Tell whether there are questions before the last one, and it cannot stand alone."""
    questions = [text for role, text in turns if role == "user" and text.strip()]
    return len(questions) > 1 and bool(turns[-1][1].strip()) and not stands_alone(turns[-1][1])


def recent(turns: Sequence[tuple[str, str]]) -> Wanted:
    """Return the last question with those before it, each once and brief, back to the first that stands alone."""
    *before, last = [text for role, text in turns if role == "user" and text.strip()]
    chosen: list[str] = []
    said = {same(last)}
    for text in reversed(before):
        if same(text) not in said:
            said.add(same(text))
            chosen.append(brief(text))
        if stands_alone(text):
            break
    says_something = bool(content_words(last))
    parts = [Part(last, 1.0 if says_something else SAYS_NOTHING)]
    parts += [Part(text, EARLIER * FALLING**back) for back, text in enumerate(chosen)]
    if chosen and not says_something:
        parts[1] = Part(chosen[0])
    answer = turns[-2][1] if turns[-2][0] == "assistant" else ""
    names = _NAMES.findall(_CITED.sub(" ", answer))
    return Wanted(last, parts, " ".join(dict.fromkeys(names[:MAX_NAMES])))


def brief(text: str) -> str:
    """Return a turn as it is where it is short, else its last question; before one that cannot stand alone, or where
    there is none, the words of the turn that name something, each once.
    """
    text = text.strip()
    if len(text) <= BRIEF_CHARS:
        return text
    asked = [sentence for sentence in _SENTENCE_END.split(text) if sentence.endswith("?")]
    if asked and stands_alone(asked[-1]):
        return asked[-1]
    rest = text.removesuffix(asked[-1]) if asked else text
    named = {same(word): word for word in _WORD.findall(rest) if content_words(word)}
    return " ".join([*list(named.values())[:MOST_WORDS], *asked[-1:]])


def same(text: str) -> str:
    """Return what two texts have in common that say the same: without accents, case, and signs around them."""
    return folded(text).lower().strip(" .,;:!?…")


async def query_for(app: App, wish: Wanted) -> Query | None:
    """Return what is wanted as vectors, None for a blank question.

    Dense: the normalized sum of the parts' vectors by their weights. Sparse: each word with its largest weight.
    """
    parts = [Part(searchable(part.text), part.weight) for part in wish.parts or [Part(wish.question)]]
    parts = [part for part in parts if part.text.strip()]
    if not parts:
        return None
    vectors = await asyncio.gather(*(embedded(app, part.text) for part in parts))
    dense = np.sum([part.weight * vector for part, vector in zip(parts, vectors, strict=True)], axis=0)
    length = float(np.linalg.norm(dense))
    words = await asyncio.to_thread(weighted_words, [*parts, Part(wish.names, OF_ANSWER)])
    return Query(dense=(dense / length if length > 0 else vectors[0]).tolist(), sparse=words)


def weighted_words(parts: Sequence[Part]) -> SparseVector:
    """Return the words of all parts, each with the largest of its weights, by rising id."""
    weights: dict[int, float] = {}
    for part in parts:
        vector = query_vector(part.text) if part.text else NO_WORDS
        for index, value in zip(vector.indices, vector.values, strict=True):
            weights[index] = max(part.weight * value, weights.get(index, 0.0))
    return SparseVector(indices=tuple(sorted(weights)), values=tuple(weights[index] for index in sorted(weights)))


@dataclass(frozen=True, slots=True)
class Sent:
    """A request whose tokens count for the user who caused it."""

    request: ChatRequest


async def rewritten(app: App, turns: Sequence[tuple[str, str]], backend: ModelBackend, model: Model, user: User) -> str:
    """Return the last question as the chat's own model writes it anew.

    Raises OddAnswer where it is not one line of at most MAX_REWRITTEN_CHARS about what was said, and as the back end.
    """
    language = language_of(turns[-1][1])
    if model.owned_by == "function":
        raise OddAnswer("une fonction ne reformule pas" if language == "fr" else "a function does not rewrite")
    names = {"user": "Utilisateur", "assistant": "Modèle"} if language == "fr" else {"user": "User"}
    told = "\n".join(f"{names.get(role, 'Model')}: {' '.join(text.split())[:MAX_TURN_CHARS]}" for role, text in turns)
    prompt = f"{REWRITE.get(language, REWRITE['en'])}\n\n<conversation>\n{told.replace('<', '‹')}\n</conversation>"
    body: dict[str, Json] = {
        "model": model.id,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": REWRITTEN_TOKENS,
        "stream": False,
    }
    request = ChatRequest(model=model.id, body=body, language=language)
    meter = Meter(app, user, Sent(request))
    completion = await backend.chat(request)
    meter.see(completion)
    await meter.write()
    message = first_choice(completion).get("message")
    said = text_in(message).rpartition("</think>")[2] if isinstance(message, Mapping) else ""
    said = said.strip().strip("\"'«»“” ")
    if "\n" in said or len(said) > MAX_REWRITTEN_CHARS or not from_conversation(said, turns):
        raise OddAnswer("réponse inutilisable" if language == "fr" else "its answer was no such question")
    return said


def from_conversation(question: str, turns: Sequence[tuple[str, str]]) -> bool:
    """Tell whether at least half of what a question names, by the beginnings of its words, was named in the turns."""
    stems = {word[:STEM_CHARS] for _, text in turns for word in content_words(text[:MAX_TURN_CHARS])}
    words = {word[:STEM_CHARS] for word in content_words(question)}
    return bool(words) and 2 * len(words & stems) >= len(words)
