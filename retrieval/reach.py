"""What function models may do for the user who asks: search what the user may see, and ask other models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ragline.app import App
from ragline.errors import Invalid
from ragline.retrieval.context import number
from ragline.retrieval.references import scope_for
from ragline.retrieval.search import search, search_in
from ragline.retrieval.usage import Meter, check_quota
from ragline.types import Asker, CollectionRef, Context, FileRef, Hit, Json, Ref, User

if TYPE_CHECKING:
    from ragline.retrieval.answer import Prepared, Question

MAX_HITS = 200


class Prepare(Protocol):
    async def __call__(self, app: App, question: Question, user: User, *, called: Sequence[str]) -> Prepared: ...


class UserReach:
    """The `Reach` of one chat. `called` are the functions that are at work for it, the last one is given this."""

    def __init__(
        self, app: App, question: Question, user: User, *, text: str, called: Sequence[str], prepare: Prepare
    ) -> None:
        """`text` is the question itself; `prepare` gets a chat with another model ready."""
        self.user = Asker(user.id, user.name, user.role)
        self.messages = question.messages
        self.question = text
        self._app = app
        self._as = user
        self._called = called
        self._asking = question
        self._prepare = prepare

    async def search(
        self, text: str, *, files: Sequence[str], collections: Sequence[str], limit: int | None
    ) -> Context:
        """Return passages, numbered by document. Raises NotFound for what the user may not see, Invalid for a limit."""
        if limit is not None and not 0 < limit <= MAX_HITS:
            raise Invalid(f"limit {limit}: a search returns 1 to {MAX_HITS} passages")
        refs: list[Ref] = [*map(FileRef, files), *map(CollectionRef, collections)]
        hits = await (
            search_in(self._app, refs, self._as, text, limit=limit) if refs else self._everywhere(text, limit)
        )
        return Context(text, number(hits))

    async def stream(
        self, model: str, messages: Sequence[Mapping[str, Json]], parameters: Mapping[str, Json]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events of another model's answer. Raises NotFound for none, Invalid for one that is asking."""
        backend, found = await self._app.models.find(model)
        if (name := called_by(backend.name, found.id)) in self._called:
            way = " → ".join(each.partition("\0")[2] for each in (*self._called, name))
            raise Invalid(f"function models ask each other in a circle: {way}")
        await check_quota(self._app, self._as)
        asked = replace(self._asking, model=model, messages=messages, refs=(), parameters=parameters)
        prepared = await self._prepare(self._app, asked, self._as, called=self._called)
        meter = Meter(self._app, self._as, prepared)
        try:
            async with aclosing(prepared.backend.stream_chat(prepared.request)) as events:
                async for event in events:
                    meter.see_events(event)
                    yield event
        finally:
            await meter.write()

    async def _everywhere(self, text: str, limit: int | None) -> list[Hit]:
        scope = await scope_for(self._app, self._as)
        if not self._as.sees_all:
            shared = await self._app.records.collections.readable(self._as)
            scope = replace(scope, shared_collection_ids=frozenset(shared))
        hits = await search(self._app, text, scope, limit=limit)
        seen = await self._app.records.files.readable_among({hit.passage.file_id for hit in hits}, self._as)
        return [hit for hit in hits if hit.passage.file_id in seen]


def called_by(backend: str, id: str) -> str:
    """Return how a model at work is remembered: names of connections have no NUL."""
    return f"{backend}\0{id}"
