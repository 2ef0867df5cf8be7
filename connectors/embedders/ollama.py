"""Embedding models of an Ollama server, through its official client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
from ollama import AsyncClient, ResponseError

from ragline.config.settings import Embedder
from ragline.connectors.embedders.served import (
    MAX_TOKENS,
    ServedEmbedder,
    base_url,
    most_bytes,
    probe,
    refusal,
    uses_proxy,
)
from ragline.connectors.models.ollama_window import as_tokens
from ragline.connectors.plain import PLAIN, plain
from ragline.errors import BackendError, BackendTimeout, RaglineError, Unavailable

USUAL_URL = "http://127.0.0.1:11434"


async def open_ollama(settings: Embedder) -> ServedEmbedder:
    """Return the model `settings.model` of a running server, by default the one on Ollama's usual port.

    `max_tokens` is 512, or the model's own context where that is shorter. Raises Unavailable, BackendError or
    BackendTimeout when the server does not answer or does not have the model.
    """
    url = base_url(settings.url or USUAL_URL, kind="ollama", example=USUAL_URL)
    place = f"Ollama's model {settings.model!r} at {url}"
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    client = AsyncClient(
        url,
        timeout=settings.timeout_s,
        headers={**PLAIN, **({"authorization": f"Bearer {key}"} if key else {})},
        event_hooks=plain(most_bytes(settings.batch_size)),
        follow_redirects=False,
        trust_env=uses_proxy(url),
    )

    async def call(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        with _translated(place, settings):
            # Too long is an error, not half a text.
            async with asyncio.timeout(settings.timeout_s):
                answer = await client.embed(settings.model, list(texts), truncate=False)
        return answer.embeddings

    async def close() -> None:
        await client.close()  # type: ignore[no-untyped-call]  # the library leaves it so

    try:
        with _translated(place, settings):
            async with asyncio.timeout(settings.timeout_s):
                described = (await client.show(settings.model)).modelinfo or {}
        dimension = await probe(call, place=place)
    except RaglineError:
        await close()
        raise
    contexts = [as_tokens(value) for name, value in described.items() if name.endswith(".context_length")]
    return ServedEmbedder(
        call,
        close,
        place=place,
        model_id=f"ollama/{settings.model}/{dimension}",
        dimension=dimension,
        max_tokens=min([MAX_TOKENS, *filter(None, contexts)]),
        settings=settings,
    )


@contextmanager
def _translated(place: str, settings: Embedder) -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        hint = f"; pull it with `ollama pull {settings.model}`" if error.status_code == 404 else ""
        raise refusal(error.status_code, f"{place} answered {error.status_code}: {error.error[:500]}{hint}.") from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise BackendTimeout(f"{place} did not answer in {settings.timeout_s:g} s (embedder.timeout_s).") from error
    except (httpx.TransportError, ConnectionError) as error:
        raise Unavailable(f"{place} cannot be reached: is it running, and is embedder.url right?") from error
    except httpx.RequestError as error:
        raise BackendError(f"{place}: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise BackendError(f"{place} answered something that is not Ollama's format.") from error
