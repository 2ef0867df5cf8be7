"""A chat with references becomes an answer with sources: resolve, search, assemble, prompt, and the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ragline.app import App
from ragline.connectors.models.protocol import ModelBackend
from ragline.language import language_of
from ragline.retrieval.cited import cited, with_citations
from ragline.retrieval.follow_up import Wanted, wanted
from ragline.retrieval.gather import gather
from ragline.retrieval.messages import question_in
from ragline.retrieval.prompt import build
from ragline.retrieval.reach import UserReach, called_by
from ragline.retrieval.references import Resolved, resolve
from ragline.retrieval.sources import Sources, sources_of
from ragline.retrieval.told import counted, events_counted, retrieval_of
from ragline.retrieval.whole import Room
from ragline.retrieval.window import budget_of, prompt_tokens
from ragline.types import ChatRequest, Context, Json, Ref, User


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
    """A chat ready to be sent. `sources` is None where nothing was referenced; `checks`: what is cited is checked."""

    backend: ModelBackend
    request: ChatRequest
    context: Context
    sources: Sources | None
    checks: bool = False


async def prepare(app: App, question: Question, user: User, *, called: Sequence[str] = ()) -> Prepared:
    """Find the model, then the passages, and write the prompt. `called`: function models that are at work for it.

    Raises NotFound for the model or a reference, before any model is called; what `resolve` and `gather` raise.
    """
    backend, model = await app.models.find(question.model)
    asked = question_in(question.messages)
    language = language_of(asked)
    resolved = await resolve(app, question.refs, user)
    referenced = bool(resolved.refs)
    budget = await budget_of(
        app,
        backend,
        model,
        question.messages,
        parameters=question.parameters,
        language=language,
        referenced=referenced,
    )
    wish = await wanted(app, question.messages, backend=backend, model=model, user=user) if referenced else Wanted("")
    gathered = await gather(
        app,
        asked,
        resolved,
        max_tokens=budget.passages,
        room=budget.room,
        limit=question.limit,
        least_score=question.least_score,
        wish=wish,
    )
    notes = (*gathered.context.notes, budget.note) if budget.note else gathered.context.notes
    context = replace(gathered.context, notes=notes)
    messages = build(context, question.messages, language=language, searched=referenced and not context.left_out)
    request = ChatRequest(
        model=model.alias_of or model.id,
        body={**question.parameters, "model": model.alias_of or model.id, "messages": messages},
        context=context if referenced else None,
        language=language,
        prompt_tokens=prompt_tokens(budget, context),
        reach=UserReach(
            app, question, user, text=asked, called=(*called, called_by(backend.name, model.id)), prepare=prepare
        ),
    )
    sources = await sources_of(app, gathered, resolved.refs) if referenced else None
    return Prepared(backend, request, context, sources, checks=referenced and app.settings.retrieval.check_citations)


async def answer(prepared: Prepared) -> Mapping[str, Json]:
    """Return the back end's whole answer, `sources` and `retrieval` first where something was referenced.

    Then it has `citations`, too, if it is to be checked.
    """
    completion = await prepared.backend.chat(prepared.request)
    if prepared.sources is None:
        return completion
    usage = counted(completion.get("usage"), prepared.context)
    whole = {**beginning(prepared), **completion, "usage": usage}
    return await with_citations(whole, prepared.context) if prepared.checks else whole


def stream(prepared: Prepared) -> AsyncGenerator[bytes, None]:
    """Yield the back end's server-sent events as they come, with the tokens of the context in their `usage`.

    Before the last comes one with `citations`, if the answer is to be checked.
    """
    events = prepared.backend.stream_chat(prepared.request)
    if prepared.sources is None:
        return events
    events = with_tokens(events, prepared.context)
    return cited(events, prepared.context) if prepared.checks else events


async def with_tokens(events: AsyncGenerator[bytes, None], context: Context) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for some in events:
            yield events_counted(some, context)


def beginning(prepared: Prepared) -> dict[str, Json]:
    """Return what an answer with references begins with: `sources`, and `retrieval` on how they were found."""
    if prepared.sources is None:
        return {}
    return {"sources": prepared.sources, "retrieval": retrieval_of(prepared.context)}


async def retrieve(app: App, asked: str, resolved: Resolved, *, max_tokens: int) -> Context:
    """Return the context for a question. Raises as `gather` does."""
    room = Room(app.settings.retrieval.full_tokens)
    return (await gather(app, asked, resolved, max_tokens=max_tokens, room=room)).context
