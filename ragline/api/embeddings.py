"""`POST /v1/embeddings`: texts become vectors, by a back end or by the model that embeds the documents."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ragline.api.caller import Caller, Installation, identity_of
from ragline.api.passing import LATEST, Asked
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_chat import MAX_NAME_CHARS
from ragline.app import App
from ragline.connectors.models.forward import Embeds
from ragline.errors import BackendError, BadInput, TooLarge
from ragline.retrieval.usage import CHARS_A_TOKEN, Meter, check_quota

router = APIRouter(route_class=StrictRoute, tags=["embeddings"])

MAX_TEXTS = 2048
"""In one request, as OpenAI has it."""
MAX_CHARS = 2_000_000
"""Of all texts of a request together."""
MAX_DIMENSIONS = 65_536

Rows = npt.NDArray[np.float32] | list[list[float]]


def texts_only(sent: object) -> object:
    """Refuse token numbers, which some clients send for texts, with the way out."""
    if isinstance(sent, list) and any(isinstance(each, int | float | list) for each in sent):
        raise PydanticCustomError(
            "texts_only",
            "Texts are needed, not the numbers of tokens; with LangChain set check_embedding_ctx_length=False",
        )
    return sent


Text = Annotated[str, Field(min_length=1)]


class EmbeddingsBody(BaseModel):
    """OpenAI's request; keys that are not named here are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "multilingual-e5-small", "input": ["La garantie dure 27 mois.", "A pump."]}]
        }
    )
    model: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    input: Annotated[
        Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)], BeforeValidator(texts_only)
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1, le=MAX_DIMENSIONS)


class Embedding(BaseModel):
    """The vector of a text: numbers, or in base64 the bytes of 32-bit floats, lowest byte first."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


@router.post("/v1/embeddings", response_model=EmbeddingList)
@router.post("/api/embeddings", response_model=EmbeddingList)
@router.post("/api/v1/embeddings", response_model=EmbeddingList)
async def embeddings(request: Request, body: EmbeddingsBody, app: Installation, user: Caller) -> Response:
    """Return a vector for each text, in order, from a back end's model or the installation's own embedding model."""
    request.state.details = {"model": body.model}
    await check_quota(app, user)
    return await embedded(request, app, body)


def is_own(app: App, name: str) -> bool:
    """Tell whether a name is that of the model which embeds the documents."""
    return name.removesuffix(LATEST) == app.settings.embedder.model.removesuffix(LATEST)


async def embedded(request: Request, app: App, body: EmbeddingsBody) -> Response:
    """Answer a request. Raises NotFound for the model, BadInput for one without embeddings, TooLarge for long texts."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    chars = sum(map(len, texts))
    if chars > MAX_CHARS:
        raise TooLarge(f"input: {chars} characters are more than the {MAX_CHARS} of one request; send fewer texts each")
    work = own_vectors if is_own(app, body.model) else served_vectors
    rows, tokens = await while_present(request, work(app, body, texts))
    used = tokens if tokens is not None else chars // CHARS_A_TOKEN
    meter = Meter(app, identity_of(request).user, Asked.of({}))
    meter.see({"usage": {"total_tokens": used}})
    await meter.write()
    return Response(await asyncio.to_thread(written, rows, body, used), media_type="application/json")


async def own_vectors(app: App, body: EmbeddingsBody, texts: list[str]) -> tuple[Rows, int | None]:
    """Return the vectors that these texts would have as passages of a document; the same text is embedded once."""
    if body.dimensions not in (None, app.embedder.dimension):
        raise BadInput(
            f"dimensions: the vectors of {body.model!r} have {app.embedder.dimension}, not {body.dimensions}; "
            "ask without `dimensions`"
        )
    times = Counter(texts)
    once = list(times)
    vectors = await app.embedder.embed_passages(once)
    tokens = await asyncio.to_thread(app.embedder.count_tokens, once)
    places = {text: place for place, text in enumerate(once)}
    used = sum(count * times[text] for text, count in zip(once, tokens, strict=True))
    return vectors[[places[text] for text in texts]], used


async def served_vectors(app: App, body: EmbeddingsBody, texts: list[str]) -> tuple[Rows, int | None]:
    backend, model = await app.models.find(body.model)
    if not isinstance(backend, Embeds):
        raise BadInput(
            f"{body.model!r} has no embeddings; name an embedding model, such as {app.settings.embedder.model!r}"
        )
    answer = await backend.embed(model.id, texts, dimensions=body.dimensions)
    return answer.vectors, answer.tokens


def written(rows: Rows, body: EmbeddingsBody, tokens: int) -> bytes:
    """Return the answer as JSON. Raises BackendError for vectors that are none."""
    try:
        if not np.isfinite(np.asarray(rows, np.float64)).all():
            raise ValueError("a number is not finite")
    except (ValueError, TypeError) as error:
        raise BackendError(f"the vectors of {body.model!r} are not usable: {error}") from error
    shown = [in_base64(row) for row in rows] if body.encoding_format == "base64" else rows
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(shown)],
        "model": body.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def in_base64(row: Sequence[float] | npt.NDArray[np.float32]) -> str:
    return base64.b64encode(np.asarray(row, "<f4").tobytes()).decode()
