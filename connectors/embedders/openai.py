"""Embedding models of any server that speaks OpenAI's HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import httpx
from pydantic import BaseModel, FailFast, ValidationError

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
from ragline.connectors.plain import PLAIN, plain
from ragline.errors import BackendError, BackendTimeout, RaglineError, Unavailable


class _Row(BaseModel):
    index: int
    embedding: Annotated[list[float], FailFast()]


class _Answer(BaseModel):
    data: Annotated[list[_Row], FailFast()]


async def open_openai(settings: Embedder) -> ServedEmbedder:
    """Return the model `settings.model` of the server whose base URL, ending in /v1, is `settings.url`.

    Raises SetupError without a URL; Unavailable, BackendError or BackendTimeout when the server does not answer.
    """
    url = base_url(settings.url, kind="openai", example="https://api.openai.com/v1")
    place = f"The model {settings.model!r} at {url}"
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    client = httpx.AsyncClient(
        timeout=settings.timeout_s,
        headers={**PLAIN, **({"authorization": f"Bearer {key}"} if key else {})},
        event_hooks=plain(most_bytes(settings.batch_size)),
        trust_env=uses_proxy(url),
    )

    async def call(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        body = {"model": settings.model, "input": list(texts), "encoding_format": "float"}
        try:
            async with asyncio.timeout(settings.timeout_s):
                response = await client.post(f"{url}/embeddings", json=body)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise BackendTimeout(f"{place} did not answer in {settings.timeout_s:g} s (embedder.timeout_s).") from error
        except httpx.TransportError as error:
            raise Unavailable(f"{place} cannot be reached: is it running, and is embedder.url right?") from error
        except httpx.RequestError as error:
            raise BackendError(f"{place}: {error}.") from error
        if not response.is_success:
            raise refusal(response.status_code, f"{place} answered {response.status_code}: {response.text[:500]}.")
        try:
            rows = _Answer.model_validate_json(response.content).data
        except ValidationError as error:
            raise BackendError(f"{place} answered something that is not OpenAI's format.") from error
        return [row.embedding for row in sorted(rows, key=lambda row: row.index)]

    try:
        dimension = await probe(call, place=place)
    except RaglineError:
        await client.aclose()
        raise
    return ServedEmbedder(
        call,
        client.aclose,
        place=place,
        model_id=f"openai/{settings.model}/{dimension}",
        dimension=dimension,
        max_tokens=MAX_TOKENS,
        settings=settings,
    )
