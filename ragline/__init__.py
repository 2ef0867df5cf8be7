"""Ragline: document ingestion and retrieval-augmented chat behind Open WebUI's and OpenAI's HTTP APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ragline.session import Answer, Ragline, open_ragline

__all__ = ["Answer", "Ragline", "__version__", "open_ragline"]


def __getattr__(name: str) -> object:
    """Import the Python API when it is first asked for: `import ragline` stays light."""
    if name in {"Answer", "Ragline", "open_ragline"}:
        from ragline import session

        return getattr(session, name)
    raise AttributeError(f"module 'ragline' has no attribute {name!r}")
