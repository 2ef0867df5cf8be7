"""A back end that speaks OpenAI's HTTP API: what it answers is passed on untouched."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping

from ragline.config.settings import Connection
from ragline.connectors.models.forward import Forwarded, Vectors, passed_on
from ragline.connectors.models.openai_wire import DONE
from ragline.connectors.models.upstream import MOST_EVENT_BYTES, Upstream, dump, joined
from ragline.errors import BackendError, BadInput
from ragline.types import ChatRequest, Json, Model

FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')
"""In the last piece of a choice."""
LAST_SECOND = 1 << 40
"""Unix seconds; later times of creation are mistakes."""


class OpenAIBackend:
    """Any server with OpenAI's routes below the connection's url, which usually ends in /v1."""

    def __init__(self, connection: Connection) -> None:
        """Raise SetupError when the connection has no url."""
        self.name = connection.name
        self._server = Upstream(connection, example_url="https://api.openai.com/v1")

    async def models(self) -> list[Model]:
        """Return the models in the server's order; those without an id are left out."""
        listing = await self._server.ask("GET", "/models")
        entries = listing.get("data")
        if not isinstance(entries, list):
            raise BackendError(f"{self._server.label}: its list of models has no `data`, only {sorted(listing)}")
        return [self._model(entry) for entry in entries if isinstance(entry, dict) and _has_id(entry)]

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        body = {**request.body, "model": request.model}
        if body.get("stream"):
            body["stream"] = False
        return await self._server.ask("POST", "/chat/completions", body)

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        """Yield the server's bytes untouched, each time the whole events that have come.

        An event is never cut in two, so that what is sent after a lost connection starts on a line of its own.
        """
        body = {**request.body, "model": request.model, "stream": True}
        response = await self._server.open("POST", "/chat/completions", dump(body))
        pieces = self._server.pieces(response)
        try:
            content_type = response.headers.get("content-type", "")
            if content_type.startswith(("text/html", "application/json")):
                text = await joined(pieces, self._server.label)
                raise self._server.unreadable(text, content_type, expected="an event stream")
            last = rest = b""
            finished = False
            async for piece in pieces:
                rest += piece
                if end := end_of_events(rest):
                    last, rest = rest[:end], rest[end:]
                    finished = finished or FINISHED.search(last) is not None
                    yield last
                elif len(rest) > MOST_EVENT_BYTES:
                    raise BackendError(f"{self._server.label}: sent an event of more than {MOST_EVENT_BYTES} bytes")
            if rest.strip():
                last = rest.rstrip() + b"\n\n"
                finished = finished or FINISHED.search(last) is not None
                yield last
            if last.rstrip().endswith(b"[DONE]"):
                return
            if not finished:
                raise BackendError(f"{self._server.label}: ended the answer of {request.model!r} before it was done")
            yield DONE
        finally:
            await pieces.aclose()

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        if not texts:
            return []
        return (await self.embed(model, texts)).vectors

    async def embed(self, model: str, texts: list[str], *, dimensions: int | None = None) -> Vectors:
        """Return a vector a text, and the tokens they took. Raises BadInput for dimensions that did not come out."""
        wish: dict[str, Json] = {"dimensions": dimensions} if dimensions is not None else {}
        answer = await self._server.ask("POST", "/embeddings", {"model": model, "input": texts, **wish})
        data = answer.get("data")
        rows = {
            index: entry.get("embedding")
            for position, entry in enumerate(data if isinstance(data, list) else [])
            if isinstance(entry, dict) and isinstance(index := entry.get("index", position), int)
        }
        vectors: list[list[float]] = []
        for index in range(len(texts)):
            vector = rows.get(index)
            if not isinstance(vector, list):
                raise BackendError(
                    f"{self._server.label}: model {model!r} gave {len(rows)} vectors for {len(texts)} texts, "
                    f"none for text {index}"
                )
            if dimensions is not None and len(vector) != dimensions:
                raise BadInput(
                    f"dimensions: the vectors of {model!r} have {len(vector)}, not {dimensions}; "
                    "ask without `dimensions`"
                )
            vectors.append(vector)
        return Vectors(vectors, _tokens(answer.get("usage")))

    async def forward_openai(self, path: str, body: bytes) -> Forwarded:
        """Pass a request on; what comes back is untouched."""
        return await passed_on(self._server, "POST", path, body)

    async def close(self) -> None:
        await self._server.close()

    def _model(self, entry: Mapping[str, Json]) -> Model:
        created = entry.get("created")
        return Model(
            id=str(entry["id"]),
            backend=self.name,
            owned_by="openai",
            # The comparison is false for NaN, infinity and what no clock can show.
            created=int(created) if isinstance(created, int | float) and 0 <= created < LAST_SECOND else 0,
            details=entry,
        )


def _has_id(entry: Mapping[str, Json]) -> bool:
    id = entry.get("id")
    return isinstance(id, str | int) and bool(id)


def _tokens(usage: Json) -> int | None:
    """Return how many tokens a back end says it used, None where it does not."""
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return total if isinstance(total, int) and total >= 0 else None


def end_of_events(data: bytes) -> int:
    """Return how many bytes of `data` are whole server-sent events, blank line included."""
    lf, crlf = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")
    return max(lf + 2 if lf >= 0 else 0, crlf + 4 if crlf >= 0 else 0)
