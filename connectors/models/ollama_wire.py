"""Ollama's wire format made from pieces of text, and its requests read."""

from __future__ import annotations

import json
import reprlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import orjson

from ragline.connectors.models.forward import Forwarded
from ragline.connectors.models.gguf import Finish
from ragline.connectors.streams import started
from ragline.errors import BadInput, Invalid, RaglineError
from ragline.types import Json

Asked: TypeAlias = Mapping[str, Json]
"""The body of a request."""

Answer: TypeAlias = AsyncGenerator[str | Finish, None]
"""Pieces of text, then how it ended."""

SAME_OPTIONS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "repeat_penalty",
)
"""Options that have the same name in OpenAI's format or in llama.cpp."""

NO_LIMIT = 1 << 20
"""What a negative `num_predict` means: the context ends an answer long before."""

NOT_READ = ("images", "raw", "suffix", "tools")
"""Keys of a request that change what is asked so much that leaving them out would answer something else."""


def parsed(body: bytes) -> dict[str, Json]:
    """Return the request's JSON object. Raises BadInput for anything else.

    Strict: NaN, numbers beyond a double, half surrogate pairs and 1,024 levels of nesting are no JSON.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadInput(f"the body is a JSON {type(asked).__name__}, an object is needed")
    return asked


def name_of(asked: Asked) -> str:
    """Return the model that is asked for. Raises Invalid where there is none."""
    name = asked.get("model") or asked.get("name")
    if not isinstance(name, str):
        raise Invalid(f"model: the name of a model is needed, got {reprlib.repr(name)}")
    return name


def messages_of_prompt(asked: Asked) -> list[Json]:
    """Return what `/api/generate` asks as a chat; empty where it has no prompt. Raises Invalid for other than texts."""
    prompt, system = asked.get("prompt") or "", asked.get("system") or ""
    if not isinstance(prompt, str) or not isinstance(system, str):
        raise Invalid("prompt and system: texts are needed")
    if not prompt:
        return []
    first: list[Json] = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": prompt}]


def openai_body(asked: Asked, messages: Sequence[Json]) -> dict[str, Json]:
    """Return the request in OpenAI's format. Raises Invalid for parts that the models in this process cannot read."""
    for key in NOT_READ:
        if asked.get(key):
            raise Invalid(f"{name_of(asked)!r} does not support {key}; ask without")
    body: dict[str, Json] = {"messages": messages}
    options = asked.get("options") or {}
    if not isinstance(options, Mapping):
        raise Invalid(f"options: an object is needed, got {type(options).__name__}")
    body.update({key: options[key] for key in SAME_OPTIONS if options.get(key) is not None})
    longest = options.get("num_predict")
    if longest is not None:
        body["max_tokens"] = NO_LIMIT if isinstance(longest, int) and longest < 0 else longest
    if asked.get("format") == "json":
        body["response_format"] = {"type": "json_object"}
    elif isinstance(asked.get("format"), Mapping):
        body["response_format"] = {"type": "json_schema", "json_schema": {"schema": asked["format"]}}
    return body


@dataclass(frozen=True, slots=True)
class Wording:
    """The messages of one answer: `as_json` puts text into the form of the endpoint, `at_the_end` is its last word."""

    model: str
    as_json: Callable[[str], Mapping[str, Json]]
    at_the_end: Mapping[str, Json]
    started_ns: int

    def piece(self, text: str) -> dict[str, Json]:
        return {"model": self.model, "created_at": now(), **self.as_json(text), "done": False}

    def loaded(self, reason: str) -> dict[str, Json]:
        """Return the answer to a request that asked nothing."""
        return {**self.piece(""), "done": True, "done_reason": reason}

    def last(self, text: str, finish: Finish) -> dict[str, Json]:
        """Return the message that ends an answer, with its counts, and its durations in nanoseconds."""
        return {
            **self.piece(text),
            **self.at_the_end,
            "done": True,
            "done_reason": finish.reason,
            "total_duration": time.perf_counter_ns() - self.started_ns,
            "load_duration": _ns(finish.load_s),
            "prompt_eval_count": finish.prompt_tokens,
            "prompt_eval_duration": _ns(finish.prompt_s),
            "eval_count": finish.completion_tokens,
            "eval_duration": _ns(finish.completion_s),
        }

    async def answer(self, answer: Answer, *, stream: bool) -> Forwarded:
        """Return an answer as lines or as a whole.

        The first piece is waited for, so that what the model refuses is raised and not a stream that breaks off.
        """
        begun = await started(answer)
        if stream:
            return Forwarded(200, "application/x-ndjson", self._lines(begun))
        texts: list[str] = []
        async with aclosing(begun) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    return whole(self.last("".join(texts), piece))
                texts.append(piece)
        raise Invalid(f"{self.model!r} gave no answer; try again")

    async def _lines(self, answer: Answer) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(answer) as pieces:
                async for piece in pieces:
                    yield _line(self.last("", piece) if isinstance(piece, Finish) else self.piece(piece))
        except RaglineError as error:
            # The status is sent long ago: this is how Ollama says it.
            yield _line({"error": str(error)})


def whole(answer: Mapping[str, Json], status: int = 200) -> Forwarded:
    """Return one JSON object as an answer."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")

    return Forwarded(status, "application/json; charset=utf-8", chunks())


def now() -> str:
    return timestamp(datetime.now(UTC))


def timestamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _line(message: Mapping[str, Json]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
