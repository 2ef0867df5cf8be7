"""A back end that speaks Ollama's HTTP API, offered in OpenAI's format and, through `forward`, in its own."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

from ollama import AsyncClient, ResponseError

from ragline.config.settings import Connection
from ragline.connectors.models import ollama_chat
from ragline.connectors.models.forward import Forwarded, Vectors, once, passed_on
from ragline.connectors.models.ollama_window import UNKNOWN, Window, window_in
from ragline.connectors.models.openai_wire import DONE, chunk_event, completion, new_id
from ragline.connectors.models.upstream import MOST_ANSWER_BYTES, Upstream, dump
from ragline.connectors.plain import PLAIN, plain
from ragline.errors import BackendError, BadInput
from ragline.types import ChatRequest, Json, Model

USUAL_URL = "http://127.0.0.1:11434"
WINDOW_TTL_S = 600.0
"""A model may be made anew under its name."""
SHOW_TIMEOUT_S = 5.0
MOST_WINDOWS = 1000

log = logging.getLogger(__name__)


class OllamaBackend:
    """An Ollama server; without a url the one on this machine's usual port.

    The official client lists and embeds. Chats go over HTTP directly: the client's models cut nested tool schemas
    down to their top level, and would be built anew for each token.
    """

    def __init__(self, connection: Connection) -> None:
        """Raise SetupError when the connection's url is not one."""
        self.name = connection.name
        self._windows: dict[str, tuple[float, Window]] = {}
        connection = connection.model_copy(update={"url": connection.url or USUAL_URL})
        self._server = Upstream(connection, example_url=USUAL_URL)
        self._client = AsyncClient(
            self._server.url,
            timeout=self._server.timeout,
            headers={**PLAIN, **self._server.headers},
            event_hooks=plain(MOST_ANSWER_BYTES),
            follow_redirects=False,
            trust_env=self._server.trust_env,
        )

    async def models(self) -> list[Model]:
        """Return the pulled models with their tags, newest first as Ollama lists them."""
        with self._translated():
            listing = await self._client.list()
        return [
            Model(
                id=entry.model,
                backend=self.name,
                owned_by="ollama",
                created=int(entry.modified_at.timestamp()) if entry.modified_at else 0,
                details={"name": entry.model, **entry.model_dump(mode="json", exclude_none=True)},
            )
            for entry in listing.models
            if entry.model
        ]

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        answer = await self._server.ask("POST", "/api/chat", await self._body(request, stream=False))
        message = self._message(answer)
        extra = ollama_chat.answer_extra(message)
        return completion(
            request.model,
            str(message.get("content") or ""),
            finish_reason=ollama_chat.finish_reason(answer, called="tool_calls" in extra),
            usage=ollama_chat.usage(answer),
            id=f"{request.model}-{uuid.uuid4()}",
            extra=extra,
        )

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        """Yield an event for each piece of text; the last chunk carries `usage`."""
        id, created, model = new_id(), int(time.time()), request.model
        role: dict[str, Json] = {"role": "assistant"}
        calls = 0
        lines = self._lines("/api/chat", dump(await self._body(request, stream=True)))
        try:
            async for line in lines:
                message = self._message(line)
                extra = ollama_chat.answer_extra(message, first_call=calls)
                made = extra.get("tool_calls")
                calls += len(made) if isinstance(made, list) else 0
                if message.get("content") or extra:
                    delta = {"content": message.get("content") or "", **extra, **role}
                    role = {}
                    yield chunk_event(id, created, model, delta)
                if line.get("done"):
                    reason = ollama_chat.finish_reason(line, called=calls > 0)
                    yield chunk_event(id, created, model, role, finish_reason=reason, usage=ollama_chat.usage(line))
                    yield DONE
                    return
        finally:
            await lines.aclose()
        raise BackendError(f"{self._server.label}: ended the answer of {model!r} before it was done")

    async def window(self, model: str) -> int | None:
        """Return how many tokens a model can read; None where Ollama does not say it."""
        return (await self._window(model)).most

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        if not texts:
            return []
        return (await self.embed(model, texts)).vectors

    async def embed(self, model: str, texts: list[str], *, dimensions: int | None = None) -> Vectors:
        """Return a vector a text, and the tokens they took. Raises BadInput for dimensions that did not come out."""
        with self._translated():
            answer = await self._client.embed(model=model, input=texts, dimensions=dimensions)
        vectors = [list(vector) for vector in answer.embeddings]
        if len(vectors) != len(texts):
            raise BackendError(f"{self._server.label}: {model!r} gave {len(vectors)} vectors for {len(texts)} texts")
        if dimensions is not None and len(vectors[0]) != dimensions:
            raise BadInput(
                f"dimensions: the vectors of {model!r} have {len(vectors[0])}, not {dimensions}; "
                "ask without `dimensions`"
            )
        return Vectors(vectors, answer.prompt_eval_count)

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:
        """Pass a request on; what comes back is untouched, but for the connection that `/api/tags` adds to models."""
        forwarded = await passed_on(self._server, method, path, body)
        if method == "GET" and path == "/api/tags":
            listing = self._server.parse(await forwarded.whole(), forwarded.content_type)
            return Forwarded(forwarded.status, forwarded.content_type, once(dump(_with_connection(listing))))
        return forwarded

    async def forward_openai(self, path: str, body: bytes) -> Forwarded:
        """Pass a request on to the routes of OpenAI's API that Ollama has itself."""
        return await passed_on(self._server, "POST", f"/v1{path}", body)

    async def close(self) -> None:
        await self._server.close()
        await self._client.close()  # type: ignore[no-untyped-call]  # not annotated there

    async def _body(self, request: ChatRequest, *, stream: bool) -> dict[str, Json]:
        window = await self._window(request.model) if request.prompt_tokens is not None else UNKNOWN
        return ollama_chat.chat_body(request, stream=stream, window=window)

    async def _window(self, model: str) -> Window:
        """Ask Ollama once for a model's window; what it said is kept for WINDOW_TTL_S, also that it said nothing."""
        known = self._windows.get(model)
        if known is not None and time.monotonic() - known[0] < WINDOW_TTL_S:
            return known[1]
        window = UNKNOWN
        try:
            async with asyncio.timeout(SHOW_TIMEOUT_S):
                window = window_in(await self._server.ask("POST", "/api/show", {"model": model}))
        except (TimeoutError, BackendError) as error:
            log.info("no window known of model=%.100r: %s", model, error or "silence")
        if len(self._windows) >= MOST_WINDOWS:
            self._windows.clear()
        self._windows[model] = (time.monotonic(), window)
        return window

    async def _lines(self, path: str, body: bytes) -> AsyncGenerator[dict[str, Json], None]:
        """Yield the JSON objects of a stream, one a line. Raises BackendError for one that reports an error."""
        response = await self._server.open("POST", path, body)
        content_type = response.headers.get("content-type", "")
        pieces = self._server.pieces(response)
        rest = b""
        try:
            async for piece in pieces:
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield self._server.parse(line, content_type)
        finally:
            await pieces.aclose()
        if rest.strip():
            yield self._server.parse(rest, content_type)

    def _message(self, answer: Mapping[str, Json]) -> Mapping[str, Json]:
        message = answer.get("message")
        if isinstance(message, Mapping):
            return message
        if answer.get("done"):
            return {}
        raise BackendError(f"{self._server.label}: {answer.get('error') or f'no message in {json.dumps(answer)[:80]}'}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the official client's errors into ours. It keeps neither the body nor the headers of an error."""
        try:
            with self._server.translated():
                yield
        except ResponseError as error:
            body = dump({"error": error.error})
            raise BackendError(
                f"{self._server.label}: answered {error.status_code}: {error.error}",
                upstream=(error.status_code, body, {"content-type": "application/json"}),
            ) from error
        except ConnectionError as error:
            raise self._server.unreachable(error) from error
        except (ValueError, RecursionError) as error:
            # The client's parser counts on the stack: an answer nested 1,000 levels deep exhausts it.
            raise BackendError(f"{self._server.label}: did not send what Ollama sends: {error}") from error


def _with_connection(listing: Mapping[str, Json]) -> dict[str, Json]:
    """Return `/api/tags` with what clients of the reference server expect: that each model is on connection 0."""
    models = listing.get("models")
    return {
        **listing,
        "models": [
            {**model, "connection_type": "local", "urls": [0]}
            for model in (models if isinstance(models, list) else [])
            if isinstance(model, Mapping)
        ],
    }
