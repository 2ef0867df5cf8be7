"""A chat with references becomes an answer with sources: resolve, search, assemble, prompt, and the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from ragline.app import App
from ragline.connectors.models.protocol import ModelBackend
from ragline.errors import Invalid
from ragline.language import language_of
from ragline.retrieval.context import assemble
from ragline.retrieval.prompt import build, question_in
from ragline.retrieval.references import Resolved, resolve
from ragline.retrieval.search import search
from ragline.retrieval.sources import Sources, sources_of
from ragline.types import ChatRequest, Context, Json, Model, Ref, User

CONTEXT_SHARE = 0.25
"""Part of a model's window that passages may fill; the rest is for the prompt, the history and the answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a client sent: OpenAI's body without Ragline's own keys, and the references beside it."""

    model: str
    messages: Sequence[Mapping[str, Json]]
    refs: Sequence[Ref] = ()
    parameters: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chat ready to be sent. `sources` is None where nothing was referenced."""

    backend: ModelBackend
    request: ChatRequest
    context: Context
    sources: Sources | None


async def prepare(app: App, question: Question, user: User) -> Prepared:
    """Find the model, then the passages, and write the prompt.

    Raises NotFound for the model or a reference, before any model is called; NotReady, ParseFailed as `resolve` does.
    """
    backend, model = await app.models.find(question.model)
    asked = question_in(question.messages)
    language = language_of(asked)
    resolved = await resolve(app, question.refs, user)
    context = await retrieve(app, asked, resolved, max_tokens=context_budget(app, model))
    messages = build(context, question.messages, language=language)
    request = ChatRequest(
        model=model.alias_of or model.id,
        body={**question.parameters, "model": model.alias_of or model.id, "messages": messages},
        context=context if resolved.refs else None,
        language=language,
    )
    return Prepared(backend, request, context, sources_of(context, resolved) if resolved.refs else None)


async def answer(prepared: Prepared) -> Mapping[str, Json]:
    """Return the back end's whole answer, `sources` first where something was referenced."""
    completion = await prepared.backend.chat(prepared.request)
    return completion if prepared.sources is None else {"sources": prepared.sources, **completion}


def stream(prepared: Prepared) -> AsyncGenerator[bytes, None]:
    """Yield the back end's server-sent events as they come."""
    return prepared.backend.stream_chat(prepared.request)


async def retrieve(app: App, asked: str, resolved: Resolved, *, max_tokens: int) -> Context:
    """Return the context for a question. Raises Invalid where references were given without any question."""
    if not resolved.refs:
        return Context(asked)
    if not asked.strip():
        raise Invalid("files were given without a question: the last message of the user has no text")
    hits = await search(app, asked, resolved.scope)
    return assemble(asked, hits, max_tokens=max_tokens, count_tokens=app.embedder.count_tokens)


def context_budget(app: App, model: Model) -> int:
    """Return how many tokens of passages fit: the setting, or a share of the model's window where it is smaller."""
    window = model.details.get("context_tokens")
    limit = app.settings.retrieval.context_tokens
    return min(limit, int(window * CONTEXT_SHARE)) if isinstance(window, int) else limit
