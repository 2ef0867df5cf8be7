"""What Ragline asks of a model back end. Chats go in and come out in OpenAI's wire format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, runtime_checkable

from ragline.types import ChatRequest, Json, Model


class ModelBackend(Protocol):
    """A connection to models. `name` is the connection's name in the settings."""

    @property
    def name(self) -> str: ...

    async def models(self) -> list[Model]:
        """Return what the back end offers now. Raises BackendError when it cannot be reached."""

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        """Return a whole `chat.completion`, the back end's own JSON where it speaks that format."""

    def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events (`data: …` and a blank line each), `data: [DONE]` last.

        Errors before the first event raise BackendError; a back end lost later raises BackendError in mid-stream.
        Closing the iterator early cancels the back end's work.
        """

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        """Return one vector a text. Raises BackendError where the back end has no embeddings."""

    async def close(self) -> None: ...


@runtime_checkable
class InProcess(Protocol):
    """A back end of this process, whose list costs nothing: it is kept for `list_ttl_s` at most."""

    @property
    def list_ttl_s(self) -> float: ...


@runtime_checkable
class Windowed(Protocol):
    """A back end that can be asked how much its models read at once."""

    async def window(self, model: str) -> int | None:
        """Return a model's window in tokens, None where the back end does not say it. Raises nothing."""
