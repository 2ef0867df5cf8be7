"""Language models in this process, those that `ragline pull` brought, behind OpenAI's chat format."""

from __future__ import annotations

import math
import reprlib
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from ragline.config.settings import EmbeddedModels
from ragline.connectors.models.gguf import Finish
from ragline.connectors.models.ollama_wire import timestamp
from ragline.connectors.models.openai_wire import DONE, chunk_event, completion, event, new_id
from ragline.connectors.models.pull import PULLABLE, Weights
from ragline.connectors.models.resident import Loaded, ResidentModel
from ragline.errors import BackendError, Invalid, NotFound
from ragline.types import ChatRequest, Json, Model

DEFAULT_MAX_TOKENS = 384
"""Longest answer where the client sets no limit, in tokens: a small model that found no end goes on for ever."""

REPEAT_PENALTY = 1.1
"""Ollama's default; without one a small model says the same sentence until its limit."""

NUMBERS = ("temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "repeat_penalty")
"""Parameters that llama.cpp calls what clients call them."""

SEEDS = 1 << 32
MAX_LEVELS = 64
"""Of a response_format: llama.cpp turns each level into rules, on the stack."""

LARGEST = 1 << 30
"""Beyond it llama.cpp's whole numbers overflow; no parameter needs it."""

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class EmbeddedBackend:
    """The pulled models. A chat waits until those before it are answered; the first one loads its model."""

    def __init__(self, name: str, folder: Path, settings: EmbeddedModels) -> None:
        """`folder` is where `ragline pull` puts models, now or later; nothing is loaded yet."""
        self.name = name
        self._folder = folder
        self._context_tokens = settings.context_tokens
        self._resident = ResidentModel(folder, settings)

    def pulled(self) -> list[Weights]:
        """Return the models that are in the folder now."""
        return [weights for weights in PULLABLE.values() if weights.path(self._folder)]

    @property
    def loaded(self) -> Loaded | None:
        """The model that is in memory."""
        return self._resident.loaded

    async def models(self) -> list[Model]:
        return [
            Model(
                id=weights.id,
                backend=self.name,
                owned_by="embedded",
                details={**self.tag(weights), "context_tokens": min(weights.context_tokens, self._context_tokens)},
            )
            for weights in self.pulled()
        ]

    def tag(self, weights: Weights) -> dict[str, Json]:
        """Return what Ollama's list of models says of one that was pulled."""
        pulled_at = datetime.fromtimestamp((self._folder / weights.file).stat().st_mtime, UTC)
        return {
            "name": weights.id,
            "model": weights.id,
            "modified_at": timestamp(pulled_at),
            "size": weights.size_bytes,
            "digest": weights.sha256,
            "details": {
                "parent_model": "",
                "format": "gguf",
                "family": weights.family,
                "families": [weights.family],
                "parameter_size": weights.parameter_size,
                "quantization_level": weights.quantization,
            },
        }

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        pieces: list[str] = []
        async with aclosing(self.answer(request.model, request.body)) as answer:
            async for piece in answer:
                if isinstance(piece, Finish):
                    return completion(request.model, "".join(pieces), finish_reason=piece.reason, usage=_usage(piece))
                pieces.append(piece)
        raise BackendError(f"{self.name}: the answer of {request.model!r} had no end; try again")

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        id, created, model = new_id(), int(time.time()), request.model
        delta: dict[str, Json] = {"role": "assistant"}
        async with aclosing(self.answer(model, request.body)) as answer:
            async for piece in answer:
                if isinstance(piece, Finish):
                    yield chunk_event(id, created, model, delta, finish_reason=piece.reason)
                    if _wants_usage(request.body):
                        yield event(_usage_chunk(id, created, model, piece))
                else:
                    yield chunk_event(id, created, model, {**delta, "content": piece})
                    delta = {}
        yield DONE

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        raise BackendError(f"{self.name}: {model!r} is a language model, it has no embeddings; name an embedding model")

    async def count_tokens(self, request: ChatRequest) -> int:
        """Return the tokens of a chat, the form of the model's chats included.

        The model reads it for that, and remembers it: the chat itself is then answered sooner. Raises as `answer`.
        """
        body = {**request.body, "max_tokens": 1, "max_completion_tokens": None}
        async with aclosing(self.answer(request.model, body)) as answer:
            async for piece in answer:
                if isinstance(piece, Finish):
                    return piece.prompt_tokens
        raise BackendError(f"{self.name}: the tokens of {request.model!r} could not be counted; try again")

    async def answer(self, model: str, body: Mapping[str, Json]) -> AsyncGenerator[str | Finish, None]:
        """Yield the pieces of the answer to a chat in OpenAI's format, its `Finish` last; closing it stops the model.

        Raises NotFound for a model that was not pulled, Invalid for a body or a prompt the model cannot take.
        """
        async with aclosing(self._resident.answer(self._weights(model), wish_of(body))) as answer:
            async for piece in answer:
                yield piece

    async def load(self, model: str) -> None:
        """Bring a model into memory before it is asked anything. Raises NotFound for one that was not pulled."""
        await self._resident.load(self._weights(model))

    async def unload(self) -> None:
        """Give the memory back now; the next chat loads its model again."""
        await self._resident.unload()

    async def close(self) -> None:
        await self._resident.close()

    def _weights(self, id: str) -> Weights:
        pulled = {weights.id: weights for weights in self.pulled()}
        if id not in pulled:
            raise NotFound(
                f"{self.name}: no model {id!r} here; pulled: {', '.join(pulled) or 'none'}; "
                f"`ragline pull` knows {', '.join(PULLABLE)}"
            )
        return pulled[id]


def wish_of(body: Mapping[str, Json]) -> dict[str, Json]:
    """Return what llama.cpp is asked: the messages as text, the known parameters checked, a limit of the answer.

    Tools and other parameters are left out. Raises Invalid for values that it could not take.
    """
    wish: dict[str, Json] = {
        "messages": _messages(body.get("messages")),
        "max_tokens": _max_tokens(body),
        "repeat_penalty": REPEAT_PENALTY,
    }
    for key in NUMBERS:
        value = body.get(key)
        if value is not None:
            wish[key] = _number(key, value)
    stop = body.get("stop")
    if stop:
        stops = [stop] if isinstance(stop, str) else stop
        if not isinstance(stops, list | tuple) or not all(isinstance(each, str) for each in stops):
            raise Invalid(f"stop: a text or a list of texts is needed, got {reprlib.repr(stop)}")
        wish["stop"] = [_whole_characters(each) for each in stops]
    if isinstance(body.get("response_format"), Mapping):
        wish["response_format"] = _whole_values(body["response_format"])
    return wish


def _messages(sent: Json) -> list[Json]:
    if not isinstance(sent, list | tuple) or not sent:
        raise Invalid("messages: a list of at least one message is needed")
    return [_message(message) for message in sent]


def _message(sent: Json) -> dict[str, Json]:
    if not isinstance(sent, Mapping):
        raise Invalid(f"messages: each is an object with a role and a content, got {type(sent).__name__}")
    role = sent.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise Invalid(f"role of a message: {reprlib.repr(role)} is not one of {', '.join(ROLES)}")
    # Marks such as <|im_end|> end a message: in a document's text they must not.
    text = _whole_characters(_text(sent.get("content"))).replace("<|", "< |")
    return {"role": ROLES[role], "content": text}


def _text(content: Json) -> str:
    """Return a message's text, its parts joined by a line break. Raises Invalid for parts that are not text."""
    if content is None or isinstance(content, str):
        return content or ""
    texts: list[str] = []
    for part in content if isinstance(content, list | tuple) else [content]:
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        if not isinstance(part, Mapping) or kind != "text":
            raise Invalid(f"content of a message: embedded models read 'text' only, not {reprlib.repr(kind)}")
        texts.append(str(part.get("text") or ""))
    return "\n".join(texts)


def _max_tokens(body: Mapping[str, Json]) -> int:
    for key in ("max_completion_tokens", "max_tokens"):
        value = body.get(key)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise Invalid(f"{key}: a whole number from 1 is needed, got {reprlib.repr(value)}")
            return min(value, LARGEST)
    return DEFAULT_MAX_TOKENS


def _number(key: str, value: Json) -> int | float:
    """Return the number as llama.cpp holds it: seeds are 32 bits, where all ones mean a random one."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not _is_finite(value):
        raise Invalid(f"{key}: a number is needed, got {reprlib.repr(value)}")
    if key == "seed":
        return int(value) % SEEDS
    if abs(value) > LARGEST:
        raise Invalid(f"{key}: {reprlib.repr(value)} is beyond {LARGEST}")
    return value


def _is_finite(value: float) -> bool:
    # math.isfinite raises OverflowError for whole numbers beyond a float.
    return isinstance(value, int) or math.isfinite(value)


def _whole_characters(text: str) -> str:
    """Return `text` with halves of surrogate pairs, which are no UTF-8, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole_values(value: Json, levels: int = MAX_LEVELS) -> Json:
    """Return `value` with whole characters in all its texts. Raises Invalid where it is nested deeper than `levels`."""
    if levels < 0:
        raise Invalid(f"response_format: nested more than {MAX_LEVELS} levels deep; send a flatter one")
    if isinstance(value, str):
        return _whole_characters(value)
    if isinstance(value, Mapping):
        return {_whole_characters(key): _whole_values(each, levels - 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_values(each, levels - 1) for each in value]
    return value


def _wants_usage(body: Mapping[str, Json]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, Mapping) and bool(options.get("include_usage"))


def _usage_chunk(id: str, created: int, model: str, finish: Finish) -> dict[str, Json]:
    """Return the chunk without choices that OpenAI sends last to a client that asked for the usage."""
    chunk: dict[str, Json] = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
    return {**chunk, "choices": [], "usage": _usage(finish)}


def _usage(finish: Finish) -> dict[str, Json]:
    return {
        "prompt_tokens": finish.prompt_tokens,
        "completion_tokens": finish.completion_tokens,
        "total_tokens": finish.prompt_tokens + finish.completion_tokens,
    }
