"""Ragline: document ingestion and retrieval-augmented chat behind Open WebUI's and OpenAI's HTTP APIs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ragline.answers import Answer
    from ragline.chatting import BlockingChat, Chat
    from ragline.matches import Match, Matches
    from ragline.remote import connect
    from ragline.retriever import Retriever
    from ragline.session import Ragline, open_ragline

__all__ = [
    "Answer",
    "BlockingChat",
    "Chat",
    "Match",
    "Matches",
    "Ragline",
    "Retriever",
    "__version__",
    "connect",
    "open_ragline",
]

_LIVES_IN = {
    "Answer": "answers",
    "BlockingChat": "chatting",
    "Chat": "chatting",
    "Match": "matches",
    "Matches": "matches",
    "Ragline": "session",
    "Retriever": "retriever",
    "connect": "remote",
    "open_ragline": "session",
}


def __getattr__(name: str) -> object:
    """Import the Python API when it is first asked for: `import ragline` stays light."""
    if name in _LIVES_IN:
        return getattr(import_module(f"ragline.{_LIVES_IN[name]}"), name)
    raise AttributeError(f"module 'ragline' has no attribute {name!r}")
