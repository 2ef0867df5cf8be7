"""Models that are Python code: each answers with pieces of text, from the request and what was retrieved for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from ragline.connectors.models.function_call import Call, FunctionFailed
from ragline.connectors.models.function_file import Function
from ragline.connectors.models.function_home import Home
from ragline.connectors.models.function_loader import FunctionLoader
from ragline.connectors.models.function_wire import Part, WrongPiece, events_of, whole_of
from ragline.connectors.streams import started
from ragline.errors import BackendError, BackendTimeout, NotFound, RaglineError, Unavailable
from ragline.functions import NOBODY, FunctionModel, Request, excerpts
from ragline.types import ChatRequest, Json, Model

log = logging.getLogger(__name__)

OURS = "Ragline"
STOPPING = "Ragline is stopping, and its function models with it; try again when it runs again"
TIMEOUT_S = 300.0


class FunctionsBackend:
    """A connection to function models. They run in threads of their own, whatever they raise becomes BackendError."""

    list_ttl_s = 1.0
    """Files may come and go at any moment."""

    def __init__(
        self,
        name: str,
        functions: Sequence[FunctionModel] = (),
        *,
        loader: FunctionLoader | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`functions` are always there, unless `loader` finds others of the same names; `timeout_s` limits silence."""
        self.name = name
        self._home = Home(OURS)
        self._own = {each.id: Function(each.id, each.name, each.chat, OURS, self._home) for each in functions}
        self.loader = loader
        self._timeout_s = timeout_s
        self._calls: set[Call] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    async def models(self) -> list[Model]:
        return [
            Model(
                id=function.id,
                backend=self.name,
                owned_by="function",
                details={"id": function.id, "object": "model", "owned_by": "function", "name": function.name},
            )
            for function in (await self._functions()).values()
        ]

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        async with aclosing(self._parts(request)) as parts:
            return whole_of(request.model, [part async for part in parts])

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._parts(request)) as parts:
            # The first part is waited for, so that a function that fails at once is an error and not a broken stream.
            begun = await started(parts)
            async with aclosing(events_of(request.model, begun)) as events:
                async for event in events:
                    yield event

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        raise BackendError(f"{self.name}: {model!r} is a function, it has no embeddings; name an embedding model")

    async def close(self) -> None:
        """Break off what is being answered and end the threads. Can be called again."""
        for call in self._calls:
            call.break_off(Unavailable(STOPPING))
        self._home.close()
        if self.loader is not None:
            self.loader.close()

    async def _functions(self) -> Mapping[str, Function]:
        return {**self._own, **(await self.loader.functions() if self.loader is not None else {})}

    async def _parts(self, request: ChatRequest) -> AsyncGenerator[Part, None]:
        functions = await self._functions()
        function = functions.get(request.model)
        if function is None:
            raise NotFound(f"{self.name}: no function {request.model!r}; known: {', '.join(functions) or 'none'}")
        call = Call(function.home, function.chat)
        self._calls.add(call)
        try:
            call.start(asked(request, call))
            while (part := await self._next(call, function)) is not None:
                yield part
        finally:
            call.leave()
            self._calls.discard(call)

    async def _next(self, call: Call, function: Function) -> Part | None:
        """Return what the function says next, None at its end. Raises BackendError naming it, RaglineError of its own.

        What went wrong inside goes to the log, not to the client.
        """
        label = f"{self.name}: function {function.id!r}"
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call.next()
        except TimeoutError as silence:
            self._leave(function.home)
            raise BackendTimeout(
                f"{label}: silent for {self._timeout_s:g} s; raise the connection's timeout_s or ask for less"
            ) from silence
        except FunctionFailed as failed:
            error = failed.error
            if isinstance(error, RaglineError):
                raise error from None
            if isinstance(error, WrongPiece):
                log.error("function model failed id=%s: it gave %s", function.id, error)
                raise BackendError(f"{label}: gave {error}") from error
            log.error("function model failed id=%s origin=%s", function.id, function.origin, exc_info=error)
            raise BackendError(f"{label} failed: {type(error).__name__}; the server's log has the traceback") from error

    def _leave(self, home: Home) -> None:
        """Find out, without anybody waiting for it, whether the thread is blocked."""
        task = asyncio.create_task(home.leave_if_blocked())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def asked(request: ChatRequest, call: Call) -> Request:
    """Return what a function is given."""
    reach, context = request.reach, request.context
    prompt = request.body.get("messages")
    messages = [each for each in prompt if isinstance(each, Mapping)] if isinstance(prompt, list | tuple) else []
    return Request(
        question=reach.question if reach is not None else context.question if context is not None else "",
        messages=reach.messages if reach is not None else messages,
        prompt=messages,
        context=excerpts(context) if context is not None else None,
        parameters={key: value for key, value in request.body.items() if key not in ("model", "messages", "stream")},
        language=request.language,
        user=reach.user if reach is not None else NOBODY,
        model=request.model,
        retrieved=context,
        reach=reach,
        ways=call,
    )
