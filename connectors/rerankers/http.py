"""A reranker behind HTTP: /rerank as Cohere, Jina, vLLM, llama.cpp and text-embeddings-inference have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Literal

import httpx
from pydantic import AliasChoices, BaseModel, FailFast, Field, FiniteFloat, TypeAdapter, ValidationError

from ragline.config.settings import Reranker as Settings
from ragline.connectors.embedders.served import Refused, uses_proxy
from ragline.connectors.models.upstream import CONNECT_TIMEOUT_S, dump, joined
from ragline.connectors.plain import PLAIN, plain
from ragline.errors import BackendError, BackendTimeout, SetupError, Unavailable

ROUTE = "/rerank"
TEI_BATCH = 32
"""Texts in one request that text-embeddings-inference takes by default (max_client_batch_size)."""

MOST_ANSWER_BYTES = 4 << 20
"""200 passages that a server repeats with their scores have less; to read one takes 0.3 s for each MiB."""

SHOWN_CHARS = 200
REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "; is reranker.api_key right?",
    HTTPStatus.FORBIDDEN: "; is reranker.api_key right?",
    HTTPStatus.NOT_FOUND: "; is reranker.url what stands before /rerank, and the model there? (Ollama has no /rerank)",
}

Texts = Literal["documents", "texts"]
"""What the passages are called in a request: `texts` by text-embeddings-inference, `documents` by the others."""


class _Rank(BaseModel):
    index: int = Field(ge=0, strict=True)
    score: FiniteFloat = Field(validation_alias=AliasChoices("relevance_score", "score"))


_Ranks = Annotated[list[_Rank], FailFast()]
"""FailFast: a megabyte of what are no ranks takes seconds to be found wrong one by one."""


_LIST = TypeAdapter(_Ranks)


class _Results(BaseModel):
    results: _Ranks = Field(validation_alias=AliasChoices("results", "data"))


class _WantsTexts(Exception):
    """The server speaks the format of text-embeddings-inference."""


def open_http(settings: Settings) -> HttpReranker:
    """Return the reranker at `settings.url`. Raises SetupError where that is no HTTP URL."""
    try:
        url = httpx.URL(settings.url or "")
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise SetupError(
            f"reranker.url is {settings.url!r}: the kind 'http' needs the address of a server, without {ROUTE}, "
            "such as 'http://127.0.0.1:8080'."
        )
    return HttpReranker(settings, url)


class HttpReranker:
    """A `Reranker` on a server. Whether the server cuts what is too long for its model is its own setting."""

    def __init__(self, settings: Settings, url: httpx.URL) -> None:
        self._model = settings.model
        self._timeout_s = settings.timeout_s
        path = url.path.rstrip("/").removesuffix(ROUTE) + ROUTE
        self._url = url.copy_with(path=path)
        self._place = f"The reranker at {self._url.copy_with(userinfo=b'', query=None)}"  # it may hold a password
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.timeout_s, connect=min(CONNECT_TIMEOUT_S, settings.timeout_s)),
            headers={
                **PLAIN,
                "content-type": "application/json",
                **({"authorization": f"Bearer {key}"} if key else {}),
            },
            event_hooks=plain(MOST_ANSWER_BYTES),
            trust_env=uses_proxy(str(url)),
        )
        self._texts: Texts = "documents"
        self.name = settings.model or url.host

    async def warm(self) -> None:
        """Do nothing: the server loads its model by itself."""

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """Raises Refused for what the server does not take; BackendError, BackendTimeout and Unavailable."""
        if not texts:
            return []
        if self._texts == "documents":
            try:
                return await self._ask(question, texts, "documents")
            except _WantsTexts:
                pass
        scores: list[float] = []
        for first in range(0, len(texts), TEI_BATCH):
            scores += await self._ask(question, texts[first : first + TEI_BATCH], "texts")
        self._texts = "texts"
        return scores

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, question: str, texts: Sequence[str], called: Texts) -> list[float]:
        model = {"model": self._model} if self._model else {}
        body = dump({**model, "query": question, called: list(texts)})
        with self._translated():
            async with self._client.stream("POST", self._url, content=body) as response:
                answer = await joined(response.aiter_bytes(), self._place)
        if response.status_code in REFUSED and called == "documents" and b"texts" in answer:
            raise _WantsTexts
        if not response.is_success:
            raise self._refusal(response, answer)
        return self._scores(answer, len(texts))

    def _scores(self, answer: bytes, count: int) -> list[float]:
        try:
            ranks = ranks_in(answer)
        except ValidationError as error:
            shown = answer[:SHOWN_CHARS].decode("utf-8", "replace")
            raise BackendError(
                f"{self._place} answered something else than an index and a score for each passage: {shown!r}"
            ) from error
        scores = {rank.index: rank.score for rank in ranks}
        if len(ranks) != count or sorted(scores) != list(range(count)):
            raise BackendError(
                f"{self._place} answered {count} passages with {len(ranks)} scores of {len(scores)} of them: each must "
                "have one."
            )
        return [scores[index] for index in range(count)]

    def _refusal(self, response: httpx.Response, answer: bytes) -> BackendError:
        status = response.status_code
        said = answer[:SHOWN_CHARS].decode("utf-8", "replace")
        message = f"{self._place} answered {status}: {said!r}{HINTS.get(status, '')}"
        kind = Refused if status in REFUSED else BackendError
        return kind(message, upstream=(status, answer, {}))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise BackendTimeout(
                f"{self._place} did not answer in {self._timeout_s:g} s (reranker.timeout_s)."
            ) from error
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            raise Unavailable(f"{self._place} cannot be reached: is it running, and is reranker.url right?") from error
        except httpx.DecodingError as error:
            raise BackendError(f"{self._place}: {error}.") from error
        except httpx.RequestError as error:
            raise BackendError(f"{self._place}: the connection was lost ({type(error).__name__}).") from error


def ranks_in(answer: bytes) -> list[_Rank]:
    """Return the ranks: a list, as text-embeddings-inference has them, or inside an object. Raises ValidationError."""
    if answer.lstrip().startswith(b"["):
        return _LIST.validate_json(answer)
    return _Results.model_validate_json(answer).results
