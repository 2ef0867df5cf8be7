"""Passing a request on as it is: what a back end answers, byte for byte, and what some can do beside chats."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ragline.connectors.models.upstream import Upstream, joined
from ragline.connectors.streams import started
from ragline.types import ChatRequest


@dataclass(frozen=True, slots=True)
class Forwarded:
    """An answer to hand to the client. `chunks` are its bytes as they come; closing them early cancels the work."""

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]

    async def whole(self) -> bytes:
        """Return all of its bytes. Raises BackendError where it breaks off, or has too many."""
        return await joined(self.chunks, "the model back end")


@runtime_checkable
class Named(Protocol):
    """A back end: `name` is its connection's in the settings."""

    @property
    def name(self) -> str: ...


@runtime_checkable
class OllamaRoute(Protocol):
    """Something that answers Ollama's HTTP API."""

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:
        """Answer `method` on `path` (such as `/api/generate`); streams are not buffered.

        A failing server raises BackendError, with `upstream` where it answered with an error itself.
        """


@runtime_checkable
class OpenAIRoute(Protocol):
    """Something that answers OpenAI's HTTP API, whichever of its routes it has."""

    async def forward_openai(self, path: str, body: bytes) -> Forwarded:
        """Answer a POST on `path`, such as `/chat/completions`: below /v1. Raises as `OllamaRoute.forward`."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """A vector a text, in order. `tokens`: what the texts took, None where the back end does not say."""

    vectors: list[list[float]]
    tokens: int | None


@runtime_checkable
class Embeds(Protocol):
    """Something that turns texts into vectors."""

    async def embed(self, model: str, texts: list[str], *, dimensions: int | None = None) -> Vectors:
        """Return a vector a text. Raises BadInput where the model's vectors cannot have these dimensions."""


@runtime_checkable
class CountsTokens(Protocol):
    """Something that knows how many tokens a prompt has."""

    async def count_tokens(self, request: ChatRequest) -> int:
        """Return the tokens of a chat as the model reads it. Raises Invalid for a chat it could not read."""


async def passed_on(server: Upstream, method: str, path: str, body: bytes) -> Forwarded:
    """Send a request on and return what comes back, its first bytes already there.

    Raises as `Upstream.open`, and BackendError for a page: it would be one of ours to whoever reads it.
    """
    response = await server.open(method, path, body)
    content_type = response.headers.get("content-type", "application/json")
    chunks = server.pieces(response)
    if content_type.startswith(("text/html", "application/xhtml")):
        raise server.unreadable(await joined(chunks, server.label), content_type)
    return Forwarded(response.status_code, content_type, await started(chunks))


async def once(chunk: bytes) -> AsyncGenerator[bytes, None]:
    yield chunk
