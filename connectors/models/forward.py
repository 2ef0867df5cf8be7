"""Passing a request on as it is: what an Ollama route answers, byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Forwarded:
    """An answer to hand to the client. `chunks` are its bytes as they come; closing them early cancels the work."""

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]


@runtime_checkable
class OllamaRoute(Protocol):
    """Something that answers Ollama's HTTP API."""

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:
        """Answer `method` on `path` (such as `/api/generate`); streams are not buffered.

        A failing server raises BackendError, with `upstream` where it answered with an error itself.
        """
