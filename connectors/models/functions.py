"""Models that are Python code: each answers with pieces of text, from the request and what was retrieved for it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

from ragline.connectors.models.openai_wire import completion, stream_of
from ragline.errors import BackendError, NotFound, RaglineError
from ragline.types import ChatRequest, Json, Model

log = logging.getLogger(__name__)


class FunctionModel(Protocol):
    """A model written in Python. `id` is what clients send, `name` what people read."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    def chat(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer in pieces. `request.context` holds the numbered sources, None where none were asked for."""


class FunctionsBackend:
    """A connection to function models; whatever they raise becomes BackendError, with its traceback in the log."""

    def __init__(self, name: str, functions: Sequence[FunctionModel]) -> None:
        self.name = name
        self._functions = {function.id: function for function in functions}

    async def models(self) -> list[Model]:
        return [
            Model(id=function.id, backend=self.name, owned_by="function", details={"name": function.name})
            for function in self._functions.values()
        ]

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        return completion(request.model, "".join([piece async for piece in self._pieces(request)]))

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._pieces(request)) as pieces:
            # The first piece is waited for, so that a function that fails at once is an error and not a broken stream.
            first = await anext(pieces, None)
            async with aclosing(stream_of(request.model, _after(first, pieces))) as events:
                async for event in events:
                    yield event

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        raise BackendError(f"{self.name}: {model!r} is a function, it has no embeddings; name an embedding model")

    async def close(self) -> None:
        """Functions hold nothing."""

    async def _pieces(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        function = self._functions.get(request.model)
        if function is None:
            raise NotFound(f"{self.name}: no function {request.model!r}; known: {', '.join(self._functions) or 'none'}")
        pieces = function.chat(request)
        try:
            async for piece in pieces:
                yield piece
        except RaglineError:
            raise
        except Exception as error:
            # A function is anybody's code: this is the edge to it.
            log.exception("function model failed id=%s", function.id)
            raise BackendError(
                f"{self.name}: function {function.id!r} failed: {type(error).__name__}: {error}; "
                "the traceback is in the server's log"
            ) from error
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()


async def _after(first: str | None, rest: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    if first is None:
        return
    yield first
    async for piece in rest:
        yield piece
