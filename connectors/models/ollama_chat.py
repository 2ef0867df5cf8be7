"""OpenAI's chat format turned into Ollama's, and Ollama's answers turned back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import orjson

from ragline.connectors.models.ollama_window import UNKNOWN, Window, context_length
from ragline.connectors.models.openai_wire import new_id
from ragline.errors import Invalid
from ragline.types import ChatRequest, Json

SAME_OPTIONS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "typical_p",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "repeat_penalty",
        "repeat_last_n",
        "num_ctx",
        "num_predict",
        "num_keep",
        "num_batch",
        "num_gpu",
        "num_thread",
    }
)
"""Options that Ollama calls what the client calls them; the later ones are Ollama's own."""

SAME_KEYS = ("tools", "think", "keep_alive", "logprobs", "top_logprobs")


def chat_body(request: ChatRequest, *, stream: bool, window: Window = UNKNOWN) -> dict[str, Json]:
    """Return the body of Ollama's `/api/chat`. Raises Invalid for content that Ollama cannot take.

    What Ollama has no word for (`user`, `n`, `logit_bias` and the like) is left out. Where the messages may be long,
    `num_ctx` is so large that Ollama cuts nothing away, as far as the model's window allows.
    """
    asked = request.body
    body: dict[str, Json] = {
        "model": request.model,
        "messages": messages(asked.get("messages")),
        "stream": stream,
        **{key: asked[key] for key in SAME_KEYS if asked.get(key) is not None},
    }
    if asked.get("tool_choice") == "none":
        body.pop("tools", None)
    chosen = options(asked)
    if request.prompt_tokens is not None:
        chosen["num_ctx"] = context_length(request.prompt_tokens, chosen, window)
    if chosen:
        body["options"] = chosen
    if wanted := answer_format(asked.get("response_format")):
        body["format"] = wanted
    return body


def options(asked: Mapping[str, Json]) -> dict[str, Json]:
    """Return Ollama's options: from the client's parameters, overridden by its own `options` if it sent some."""
    chosen: dict[str, Json] = {key: value for key, value in asked.items() if key in SAME_OPTIONS and value is not None}
    for key in ("max_tokens", "max_completion_tokens"):
        if asked.get(key) is not None:
            chosen["num_predict"] = asked[key]
    if isinstance(chosen.get("stop"), str):
        chosen["stop"] = [chosen["stop"]]
    own = asked.get("options")
    if isinstance(own, Mapping):
        chosen.update(own)
    return chosen


def answer_format(response_format: Json) -> Json:
    """Return `json`, a JSON schema, or None for free text."""
    if not isinstance(response_format, Mapping):
        return None
    if response_format.get("type") == "json_object":
        return "json"
    outer = response_format.get("json_schema")
    return outer.get("schema") if isinstance(outer, Mapping) else None


def messages(sent: Json) -> list[Json]:
    """Return the messages as Ollama takes them: text and images apart, arguments of tools as objects."""
    if sent is None:
        return []
    if not isinstance(sent, list | tuple):
        raise Invalid(f"messages: a list is needed, got {type(sent).__name__}")
    tool_names: dict[str, Json] = {}
    return [_message(message, tool_names) for message in sent]


def _message(message: Json, tool_names: dict[str, Json]) -> dict[str, Json]:
    """Translate one message; `tool_names` remembers which call had which function, since Ollama wants its name."""
    if not isinstance(message, Mapping):
        raise Invalid(f"messages: each is an object with a role, got {type(message).__name__}")
    role = message.get("role")
    text, images = _content(message.get("content"))
    out: dict[str, Json] = {"role": "system" if role == "developer" else role, "content": text}
    if images:
        out["images"] = images
    calls = message.get("tool_calls")
    if isinstance(calls, list | tuple) and calls:
        out["tool_calls"] = [_call(call, tool_names) for call in calls]
    if role == "tool":
        call_id = message.get("tool_call_id")
        out["tool_name"] = message.get("name") or tool_names.get(str(call_id)) or ""
        out["tool_call_id"] = call_id or ""
    return out


def _content(content: Json) -> tuple[str, list[Json]]:
    """Return the text (parts joined by a line break) and the images in base64."""
    if content is None or isinstance(content, str):
        return content or "", []
    texts: list[str] = []
    images: list[Json] = []
    for part in content if isinstance(content, list | tuple) else [content]:
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        if kind == "text" and isinstance(part, Mapping):
            texts.append(str(part.get("text") or ""))
        elif kind == "image_url" and isinstance(part, Mapping):
            images.append(_image(part.get("image_url")))
        else:
            raise Invalid(f"content of a message: {kind!r} cannot be sent to Ollama, only 'text' and 'image_url'")
    return "\n".join(texts), images


def _image(image_url: Json) -> str:
    """Return the base64 of a data URL. Ollama fetches nothing by itself, and Ragline does not fetch for a client."""
    url = image_url.get("url") if isinstance(image_url, Mapping) else image_url
    head, comma, data = str(url).partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise Invalid(f"image_url {str(url)[:60]!r}: Ollama takes images inline only, as data:image/png;base64,…")
    return data


def _call(call: Json, tool_names: dict[str, Json]) -> dict[str, Json]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise Invalid("tool_calls: each is an object with a `function`")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError as error:
            raise Invalid(f"tool_calls: the arguments of {function.get('name')!r} are not JSON: {error}") from error
    tool_names[str(call.get("id"))] = function.get("name")
    return {"id": call.get("id"), "function": {"name": function.get("name"), "arguments": arguments}}


def answer_extra(message: Mapping[str, Json], *, first_call: int = 0) -> dict[str, Json]:
    """Return what an answer holds beside its text: `tool_calls` (numbered from `first_call`), `reasoning_content`."""
    extra: dict[str, Json] = {}
    if message.get("thinking"):
        extra["reasoning_content"] = message["thinking"]
    calls = message.get("tool_calls")
    if isinstance(calls, Sequence) and calls:
        extra["tool_calls"] = [_call_back(call, index) for index, call in enumerate(calls, first_call)]
    return extra


def _call_back(call: Json, index: int) -> dict[str, Json]:
    function = call.get("function") if isinstance(call, Mapping) else None
    name, arguments = (function.get("name"), function.get("arguments")) if isinstance(function, Mapping) else ("", {})
    id = call.get("id") if isinstance(call, Mapping) else None
    return {
        "index": index,
        "id": id or new_id("call"),
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments or {}, ensure_ascii=False)},
    }


def finish_reason(last: Mapping[str, Json], *, called: bool) -> str:
    """Return OpenAI's word for why the answer ended. Ollama says `stop` also where the model called tools."""
    if called:
        return "tool_calls"
    return "length" if last.get("done_reason") == "length" else "stop"


def usage(last: Mapping[str, Json]) -> dict[str, Json]:
    """Return the counts of Ollama's last message under both names, durations in nanoseconds as Ollama gives them."""
    counts = {key: _number(last.get(key)) for key in DURATIONS_AND_COUNTS}
    prompt, answer = counts["prompt_eval_count"], counts["eval_count"]
    seconds = counts["total_duration"] // 1_000_000_000
    return {
        "input_tokens": prompt,
        "output_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "response_token/s": _per_second(answer, counts["eval_duration"]),
        "prompt_token/s": _per_second(prompt, counts["prompt_eval_duration"]),
        **counts,
        "approximate_total": f"{seconds // 3600}h{seconds % 3600 // 60}m{seconds % 60}s",
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


DURATIONS_AND_COUNTS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)

LARGEST_COUNT = 1 << 63
"""More than a client can read as a whole number; also what keeps NaN and infinity out."""


def _number(value: Json) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < LARGEST_COUNT else 0


def _per_second(count: int, duration_ns: int) -> float:
    return round(count * 1e9 / duration_ns, 2) if duration_ns else 0.0
