"""A chat with references becomes an answer with sources: resolve, search, assemble, prompt, and the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from ragline.app import App
from ragline.connectors.models.protocol import ModelBackend
from ragline.language import language_of
from ragline.retrieval.gather import gather
from ragline.retrieval.prompt import build, question_in
from ragline.retrieval.reach import UserReach, called_by
from ragline.retrieval.references import Resolved, resolve
from ragline.retrieval.sources import Sources, sources_of
from ragline.retrieval.whole import Room
from ragline.types import ChatRequest, Context, Json, Model, Ref, User

CONTEXT_SHARE = 0.25
"""Part of a model's window that passages may fill; the rest is for the prompt, the history and the answer."""
FULL_SHARE = 0.5
"""The same for documents that are asked for whole."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a client sent: OpenAI's body without Ragline's own keys, and the references beside it.

    `limit`: passages at most, where the client said so; `least_score`, (1 + cosine) / 2: those of less are left out.
    """

    model: str
    messages: Sequence[Mapping[str, Json]]
    refs: Sequence[Ref] = ()
    parameters: Mapping[str, Json] = field(default_factory=dict)
    limit: int | None = None
    least_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chat ready to be sent. `sources` is None where nothing was referenced."""

    backend: ModelBackend
    request: ChatRequest
    context: Context
    sources: Sources | None


async def prepare(app: App, question: Question, user: User, *, called: Sequence[str] = ()) -> Prepared:
    """Find the model, then the passages, and write the prompt. `called`: function models that are at work for it.

    Raises NotFound for the model or a reference, before any model is called; what `resolve` and `gather` raise.
    """
    backend, model = await app.models.find(question.model)
    asked = question_in(question.messages)
    language = language_of(asked)
    resolved = await resolve(app, question.refs, user)
    gathered = await gather(
        app,
        asked,
        resolved,
        max_tokens=context_budget(app, model),
        room=room_for_whole(app, model),
        limit=question.limit,
        least_score=question.least_score,
    )
    context = gathered.context
    messages = build(context, question.messages, language=language)
    request = ChatRequest(
        model=model.alias_of or model.id,
        body={**question.parameters, "model": model.alias_of or model.id, "messages": messages},
        context=context if resolved.refs else None,
        language=language,
        reach=UserReach(
            app, question, user, text=asked, called=(*called, called_by(backend.name, model.id)), prepare=prepare
        ),
    )
    sources = await sources_of(app, gathered, resolved.refs) if resolved.refs else None
    return Prepared(backend, request, context, sources)


async def answer(prepared: Prepared) -> Mapping[str, Json]:
    """Return the back end's whole answer, `sources` first where something was referenced."""
    completion = await prepared.backend.chat(prepared.request)
    return completion if prepared.sources is None else {"sources": prepared.sources, **completion}


def stream(prepared: Prepared) -> AsyncGenerator[bytes, None]:
    """Yield the back end's server-sent events as they come."""
    return prepared.backend.stream_chat(prepared.request)


async def retrieve(app: App, asked: str, resolved: Resolved, *, max_tokens: int) -> Context:
    """Return the context for a question. Raises as `gather` does."""
    room = Room(app.settings.retrieval.full_tokens)
    return (await gather(app, asked, resolved, max_tokens=max_tokens, room=room)).context


def context_budget(app: App, model: Model) -> int:
    """Return how many tokens of passages fit: the setting, or a share of the model's window where it is smaller."""
    window = model.details.get("context_tokens")
    limit = app.settings.retrieval.context_tokens
    return min(limit, int(window * CONTEXT_SHARE)) if isinstance(window, int) else limit


def room_for_whole(app: App, model: Model) -> Room:
    """Return how many tokens of whole documents fit: the setting, or a share of the model's window if it is smaller."""
    window = model.details.get("context_tokens")
    room = Room(app.settings.retrieval.full_tokens)
    if not isinstance(window, int) or int(window * FULL_SHARE) >= room.tokens:
        return room
    return Room(int(window * FULL_SHARE), f"{FULL_SHARE:.0%} of the {window} tokens that {model.id!r} reads")
