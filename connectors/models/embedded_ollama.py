"""Ollama's own HTTP API, answered by the language models and the embedding model in this process."""

from __future__ import annotations

import hashlib
import reprlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from ragline.connectors.embedders.protocol import Embedder
from ragline.connectors.models.embedded import EmbeddedBackend
from ragline.connectors.models.forward import Forwarded
from ragline.connectors.models.ollama_wire import (
    Asked,
    Wording,
    messages_of_prompt,
    name_of,
    openai_body,
    parsed,
    timestamp,
    whole,
)
from ragline.connectors.models.pull import PULLABLE, Weights
from ragline.errors import BadInput, Invalid, NotFound, RaglineError
from ragline.types import Json

API_VERSION = "0.12.0"
"""The version of Ollama whose wire format this is: clients look at it before they use newer parts."""

LATEST = ":latest"

SHOWN_CHARS = 100
"""Of an unknown name; clients may send one of any length."""


class EmbeddedOllama:
    """Answers as Ollama would. Names: as pulled, without their tag, or an alias; embeddings take any of them."""

    def __init__(
        self,
        backend: EmbeddedBackend,
        embedder: Embedder,
        *,
        aliases: Mapping[str, Sequence[str]],
        embedding_name: str = "multilingual-e5-small",
    ) -> None:
        """`aliases`: other names, each with its targets, of which the first that was pulled is meant."""
        self.name = backend.name
        self._backend = backend
        self._embedder = embedder
        self._aliases = aliases
        self._embedding_name = embedding_name if ":" in embedding_name else embedding_name + LATEST
        self._since = datetime.now(UTC)
        self._routes: Mapping[tuple[str, str], Callable[[Asked], Awaitable[Forwarded]]] = {
            ("GET", "/api/tags"): self._tags,
            ("GET", "/api/version"): self._version,
            ("GET", "/api/ps"): self._ps,
            ("POST", "/api/show"): self._show,
            ("POST", "/api/generate"): self._generate,
            ("POST", "/api/chat"): self._chat,
            ("POST", "/api/embed"): self._embed,
            ("POST", "/api/embeddings"): self._embeddings,
        }

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:
        """Answer `method` on `path`. Refusals are answers too, with their status, 400 or 404.

        Ollama's clients read `error` of them, those of the other routes `detail`.
        """
        verb, path = "GET" if method == "HEAD" else method, path.rstrip("/")
        try:
            route = self._routes.get((verb, path))
            if route is None:
                known = ", ".join(" ".join(each) for each in self._routes)
                raise NotFound(f"{method} {path} is not answered by the models in this process; these are: {known}")
            return await route(parsed(body) if verb == "POST" else {})
        except RaglineError as error:
            status = BadInput.status if isinstance(error, BadInput) else error.status
            return whole({"error": str(error), "detail": str(error)}, status)

    async def _tags(self, _: Asked) -> Forwarded:
        models = [self._backend.tag(weights) for weights in self._backend.pulled()]
        return whole({"models": [*models, self._embedding_tag()]})

    async def _version(self, _: Asked) -> Forwarded:
        return whole({"version": API_VERSION})

    async def _ps(self, _: Asked) -> Forwarded:
        loaded = self._backend.loaded
        if loaded is None:
            return whole({"models": []})
        model: dict[str, Json] = {
            **self._backend.tag(loaded.weights),
            "expires_at": timestamp(datetime.fromtimestamp(loaded.expires_at, UTC)),
            "size_vram": 0,
            "context_length": loaded.gguf.context_tokens,
        }
        return whole({"models": [model]})

    async def _show(self, asked: Asked) -> Forwarded:
        name = name_of(asked)
        weights = self._language_model(name)
        if weights is not None:
            tag, family, context_tokens = self._backend.tag(weights), weights.family, weights.context_tokens
        elif self._is_embedding_model(name):
            tag, family, context_tokens = self._embedding_tag(), "bert", self._embedder.max_tokens
        else:
            raise self._not_found(name)
        shown: dict[str, Json] = {
            "modelfile": f"FROM {tag['name']}",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": tag["details"],
            "model_info": {"general.architecture": family, f"{family}.context_length": context_tokens},
            "capabilities": ["completion" if weights else "embedding"],
            "modified_at": tag["modified_at"],
        }
        return whole({**shown, "license": weights.license} if weights else shown)

    async def _generate(self, asked: Asked) -> Forwarded:
        # `context` is the chat so far in tokens, of which nothing is kept here; clients expect the key.
        return await self._answered(
            asked, messages_of_prompt(asked), lambda text: {"response": text}, at_the_end={"context": []}
        )

    async def _chat(self, asked: Asked) -> Forwarded:
        messages = asked.get("messages") or []
        if not isinstance(messages, list):
            raise Invalid(f"messages: a list is needed, got {type(messages).__name__}")
        return await self._answered(asked, messages, lambda text: {"message": {"role": "assistant", "content": text}})

    async def _answered(
        self,
        asked: Asked,
        messages: Sequence[Json],
        as_json: Callable[[str], Mapping[str, Json]],
        *,
        at_the_end: Mapping[str, Json] | None = None,
    ) -> Forwarded:
        name = name_of(asked)
        weights = self._language_model(name)
        if weights is None:
            raise self._not_found(name)
        wording = Wording(name, as_json, at_the_end or {}, time.perf_counter_ns())
        if messages:
            answer = self._backend.answer(weights.id, openai_body(asked, messages))
            return await wording.answer(answer, stream=asked.get("stream") is not False)
        # Nothing is asked: the client wants the model to be in memory, or no longer.
        if asked.get("keep_alive") in (0, "0", "0s"):
            await self._backend.unload()
            return whole(wording.loaded("unload"))
        await self._backend.load(weights.id)
        return whole(wording.loaded("load"))

    async def _embed(self, asked: Asked) -> Forwarded:
        started_ns = time.perf_counter_ns()
        sent = asked.get("input")
        texts = [sent] if isinstance(sent, str) else sent
        if not isinstance(texts, list):
            raise Invalid(f"input: a text or a list of texts is needed, got {type(sent).__name__}")
        vectors, tokens = await self._vectors(asked, texts)
        answer: dict[str, Json] = {
            "model": name_of(asked),
            "embeddings": vectors,
            "total_duration": time.perf_counter_ns() - started_ns,
            "load_duration": 0,
            "prompt_eval_count": tokens,
        }
        return whole(answer)

    async def _embeddings(self, asked: Asked) -> Forwarded:
        prompt = asked.get("prompt")
        vectors, _ = await self._vectors(asked, [prompt] if prompt else [])
        return whole({"embedding": vectors[0] if vectors else []})

    async def _vectors(self, asked: Asked, sent: Sequence[Json]) -> tuple[list[list[float]], int]:
        """Return a vector a text, and the tokens of all. Texts are embedded as passages: Ollama knows no questions."""
        name = name_of(asked)
        if not (self._is_embedding_model(name) or name in self._aliases or self._language_model(name)):
            raise self._not_found(name)
        texts = [text for text in sent if isinstance(text, str)]
        if len(texts) != len(sent):
            raise Invalid("input: only texts can be embedded")
        if asked.get("dimensions") not in (None, 0, self._embedder.dimension):
            raise Invalid(
                f"dimensions: {reprlib.repr(asked['dimensions'])} is not {self._embedder.dimension}, the model's own"
            )
        if not any(texts):
            return [], 0
        vectors = await self._embedder.embed_passages(texts)
        return vectors.tolist(), sum(self._embedder.count_tokens(texts))

    def _language_model(self, name: str) -> Weights | None:
        """Return the pulled model that `name` means: its id, the start of one only, or an alias."""
        for each in (name, *self._aliases.get(name, self._aliases.get(name.removesuffix(LATEST), ()))):
            start = each.removesuffix(LATEST)
            found = [weights for weights in self._backend.pulled() if start in (weights.id, weights.id.split(":")[0])]
            if len(found) == 1:
                return found[0]
        return None

    def _is_embedding_model(self, name: str) -> bool:
        return name in (self._embedding_name, self._embedding_name.removesuffix(LATEST))

    def _not_found(self, name: str) -> RaglineError:
        if self._is_embedding_model(name):
            return BadInput(f"{name!r} is an embedding model and does not answer; see /api/tags for others")
        message = f"model '{name[:SHOWN_CHARS]}' not found"
        if self._backend.pulled():
            return NotFound(message)
        return NotFound(f"{message}: no language model is here yet; run `ragline pull {next(iter(PULLABLE))}`")

    def _embedding_tag(self) -> dict[str, Json]:
        return {
            "name": self._embedding_name,
            "model": self._embedding_name,
            "modified_at": timestamp(self._since),
            "size": 0,
            "digest": hashlib.sha256(self._embedder.model_id.encode()).hexdigest(),
            "details": {
                "parent_model": "",
                "format": "",
                "family": "bert",
                "families": ["bert"],
                "parameter_size": "",
                "quantization_level": "",
            },
        }
