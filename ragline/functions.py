"""What a function model, a model that is your Python code, is given: the question, its context, and who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from ragline.errors import BackendError
from ragline.types import Asker, Context, Json, Reach

T = TypeVar("T")

NOBODY = Asker("", "", "user")

Piece: TypeAlias = "str | Mapping[str, Json]"
"""A part of an answer: text, or a delta or chunk in OpenAI's format, such as `{"tool_calls": […]}`."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage of a document. Write `[source]` after what you take from it.

    `source` is the number of the document, from 1: of those that came with the chat as in the answer's `sources`, of a
    search counted anew. `page` counts from 1; `similarity` runs from 0 to 1.
    """

    text: str
    source: int
    name: str
    file_id: str
    page: int | None
    heading: str
    language: str
    similarity: float


class Ways(Protocol):
    """How a function, in a thread of its own, reaches the server; made by the server."""

    async def there(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`, done on the server's event loop."""

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`, for code that cannot await."""

    def pieces(self, events: bytes) -> Sequence[Piece]:
        """Return what server-sent events hold, in the form in which functions yield it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A chat for a function model.

    `question` is the last text of the user, `messages` are all as they were sent, `prompt` the same with the context
    written in, ready for another model. `context` holds the excerpts of the chat's references, best first, None where
    there were no references. `parameters` is the rest of the request (`temperature`, `tools`, …), `language` that of
    the question (ISO 639-1), `user` who asks. To try a function out, make one: `Request(question="Pourquoi ?")`.
    """

    question: str = ""
    messages: Sequence[Mapping[str, Json]] = ()
    prompt: Sequence[Mapping[str, Json]] = ()
    context: Sequence[Excerpt] | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    language: str = "en"
    user: Asker = NOBODY
    model: str = ""
    retrieved: Context | None = field(default=None, repr=False)
    """The context as the server has it, grouped by document."""
    reach: Reach | None = field(default=None, repr=False)
    ways: Ways | None = field(default=None, repr=False)

    async def search(
        self, text: str, *, files: Sequence[str] = (), collections: Sequence[str] = (), limit: int | None = None
    ) -> list[Excerpt]:
        """Return the passages nearest to `text`, best first, at most `limit` (default: the setting retrieval.top_k).

        `files` and `collections` are ids; without any, everything is searched that the user may see. Raises NotFound
        for what the user may not see.
        """
        reach, ways = self._reach()
        found = await ways.there(reach.search(text, files=files, collections=collections, limit=limit))
        return excerpts(found)

    async def complete(
        self, model: str, messages: Sequence[Mapping[str, Json]] | None = None, **parameters: Json
    ) -> str:
        """Return the text that another model answers; `messages` are those of `prompt` unless given.

        Raises NotFound for an unknown model, Invalid where functions would ask each other in a circle.
        """
        return "".join([piece async for piece in self.stream(model, messages, **parameters) if isinstance(piece, str)])

    async def stream(
        self, model: str, messages: Sequence[Mapping[str, Json]] | None = None, **parameters: Json
    ) -> AsyncGenerator[Piece, None]:
        """Yield another model's answer as it comes, in pieces that a function may yield. Raises as `complete`."""
        reach, ways = self._reach()
        line = asyncio.Lock()
        events = reach.stream(model, self.prompt if messages is None else messages, parameters)

        async def following() -> bytes:
            async with line:
                return await anext(events, b"")

        async def close() -> None:
            async with line:  # a generator that is stopped in its middle is closed when it has come to its end
                await events.aclose()

        try:
            while some := await ways.there(following()):
                for piece in ways.pieces(some):
                    yield piece
        finally:
            await ways.there(close())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `search` or `complete` to a plain function: `request.wait(request.search("…"))`."""
        return self._reach()[1].wait(work)

    def _reach(self) -> tuple[Reach, Ways]:
        if self.reach is None or self.ways is None:
            raise BackendError("this request was not made by a server: it cannot search, nor ask other models")
        return self.reach, self.ways


class FunctionModel(Protocol):
    """A model that is Python code. `id` is what clients send, `name` what people read.

    `chat` may be an async generator, a generator, a coroutine or a plain function. It yields or returns a `Piece`.
    """

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def chat(self) -> Callable[[Request], object]: ...


def excerpts(context: Context) -> list[Excerpt]:
    """Return the passages of a context, best first."""
    found = [(source, hit) for source in context.sources for hit in source.hits]
    return [
        Excerpt(
            text=hit.passage.chunk.text,
            source=source.number,
            name=source.name,
            file_id=source.file_id,
            page=hit.passage.chunk.page,
            heading=hit.passage.chunk.heading,
            language=hit.passage.chunk.language,
            similarity=hit.similarity,
        )
        for source, hit in sorted(found, key=lambda pair: -pair[1].score)
    ]
