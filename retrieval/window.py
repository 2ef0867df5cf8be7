"""How much a model reads at once, and how much of that passages may take: nothing is to be cut without a word.

Lengths are counted with the tokenizer of the embedding model. Language models have others: their counts differ by some
ten percent, for which `MARGIN` makes room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragline.app import App
from ragline.connectors.models.protocol import ModelBackend, Windowed
from ragline.retrieval.messages import text_in
from ragline.retrieval.whole import Room, count
from ragline.types import Context, Json, Model

CONTEXT_SHARE = 0.25
"""Part of a model's window that passages may fill; the rest is for the prompt, the history and the answer."""
FULL_SHARE = 0.5
"""The same for documents that are asked for whole."""
MARGIN = 1.25
"""Tokens a language model may need for one of the embedding model's."""
MESSAGE_TOKENS = 8
"""What the form of a chat costs a message."""
FRAME_TOKENS = 160
"""What the instructions and the marks around passages cost."""
PASSAGE_TOKENS = 40
"""What the name and the place of a passage cost."""
ANSWER_TOKENS = 512
"""Room for an answer, where a request does not say how long it may be."""
LEAST_TOKENS = 48
"""Less room than that is none: a sentence with its place needs as much."""
LONG_CHARS = 6000
"""Messages with less characters together fit into any window."""
CHARS_A_TOKEN = 3
"""In short messages, which are not worth counting: less than is usual."""
MOST_TOKENS = 1 << 24
"""What says more is no window."""

SAID_BY_SERVERS = (
    "context_tokens",
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "loaded_context_length",
)
"""Where lists of models say it: Ragline's own, vLLM and SGLang, OpenRouter and Together, Groq, LM Studio."""

TOO_LONG = {
    "en": "The conversation alone is longer than the {window} tokens that {model!r} reads (by estimate), so no "
    "passages were added; begin a new chat.",
    "fr": "La conversation dépasse à elle seule les {window} tokens que {model!r} peut lire (selon une estimation) : "
    "aucun passage n'a été ajouté ; commencez une nouvelle conversation.",
}
NO_ROOM = {
    "en": "The conversation leaves no room for passages in the {window} tokens that {model!r} reads (by estimate); "
    "begin a new chat.",
    "fr": "La conversation ne laisse pas de place aux passages dans les {window} tokens que {model!r} peut lire (selon "
    "une estimation) ; commencez une nouvelle conversation.",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens there are for passages and for whole documents, in tokens of the embedding model.

    `history` are those of the messages, `window` is what the model reads, if that is known. `note` says to the user
    why there is no room.
    """

    passages: int
    room: Room
    history: int = 0
    window: int | None = None
    note: str = ""


async def budget_of(
    app: App,
    backend: ModelBackend,
    model: Model,
    messages: Sequence[Mapping[str, Json]],
    *,
    parameters: Mapping[str, Json],
    language: str,
    referenced: bool = True,
) -> Budget:
    """Return the budget of one chat: the settings, or what the model's window leaves, where that is less.

    `parameters` are those of the request, `language` is that of the question. Where nothing is `referenced`, there are
    no passages, and the history is counted only for back ends that are told how long it is.
    """
    if not referenced:
        return Budget(0, Room(0), await length_of(app, messages) if isinstance(backend, Windowed) else 0)
    window = await window_of(backend, model)
    limit, room = app.settings.retrieval.context_tokens, Room(app.settings.retrieval.full_tokens)
    history = await length_of(app, messages)
    if window is None:
        return Budget(limit, room, history)
    left = int((window - answer_tokens(parameters, window)) / MARGIN) - history - FRAME_TOKENS
    passages = min(limit, int(window * CONTEXT_SHARE), left)
    if min(int(window * FULL_SHARE), left) < room.tokens:
        room = Room(max(0, min(int(window * FULL_SHARE), left)), whole_limit(model, window, left))
    if passages >= LEAST_TOKENS:
        return Budget(passages, room, history, window)
    note = TOO_LONG if history * MARGIN > window else NO_ROOM
    return Budget(0, room, history, window, note.get(language, note["en"]).format(window=window, model=model.id))


def whole_limit(model: Model, window: int, left: int) -> str:
    """Return what says how much room there is for whole documents."""
    if left < int(window * FULL_SHARE):
        return f"what the conversation leaves of the {window} tokens that {model.id!r} reads"
    return f"{FULL_SHARE:.0%} of the {window} tokens that {model.id!r} reads"


async def window_of(backend: ModelBackend, model: Model) -> int | None:
    """Return how many tokens a model reads at once, None where nobody says it."""
    if isinstance(backend, Windowed):
        return await backend.window(model.id)
    meta = model.details.get("meta")
    said = [model.details.get(key) for key in SAID_BY_SERVERS]
    if isinstance(meta, Mapping):  # llama.cpp's server
        said += [meta.get("n_ctx"), meta.get("n_ctx_train")]
    return smallest(said)


def smallest(said: Iterable[Json]) -> int | None:
    """Return the smallest of the numbers that can be a window; several are what a model could and what it may."""
    known = [each for each in said if isinstance(each, int) and not isinstance(each, bool) and 0 < each <= MOST_TOKENS]
    return min(known, default=None)


def answer_tokens(body: Mapping[str, Json], window: int) -> int:
    """Return how many tokens to leave for the answer: what the request says, at most half of the window."""
    for key in ("max_completion_tokens", "max_tokens"):
        asked = body.get(key)
        if isinstance(asked, int) and asked > 0:
            return min(asked, window // 2)
    return min(ANSWER_TOKENS, window // 4)


def prompt_tokens(budget: Budget, context: Context) -> int | None:
    """Return how many tokens a language model may need to read a chat, by estimate; None for a short one."""
    if not context.shown and budget.history < LONG_CHARS // CHARS_A_TOKEN:
        return None
    passages = context.tokens + FRAME_TOKENS + PASSAGE_TOKENS * len(context.shown) if context.shown else 0
    return int((budget.history + passages) * MARGIN)


async def length_of(app: App, messages: Sequence[Mapping[str, Json]]) -> int:
    """Return how many tokens messages have, by estimate where they are short or very long. Pictures are not counted."""
    texts = [text_in(message) for message in messages]
    characters = sum(map(len, texts))
    around = MESSAGE_TOKENS * len(messages)
    if characters <= LONG_CHARS:
        return around + characters // CHARS_A_TOKEN
    most = app.settings.retrieval.full_tokens * 8
    return around + await count(app, "\n".join(texts), most=most)
