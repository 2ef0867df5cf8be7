"""Table 1.2 of the contract: models, embeddings, Anthropic's messages, and the proxies to OpenAI and Ollama."""

from __future__ import annotations

from typing import Any

import pytest

from .house import UNKNOWN, House, detail, events_of, good, invalid, lines_of

HI = [{"role": "user", "content": "hé"}]
ECHO = 'ECHO [{"role": "user", "content": "hé"}]'
OLLAMA_MODELS = ["llama3.2:latest", "llama3.1:latest", "granite3.1-dense:8b"]
COMMON = {"id", "name", "object", "created", "owned_by", "connection_type", "urlIdx", "tags", "actions", "filters"}


@pytest.mark.parametrize("path", ["/api/models", "/api/v1/models", "/api/models?refresh=true", "/api/models/"])
def test_models(house: House, path: str) -> None:
    models = {model["id"]: model for model in good(house.admin.client.get(path))["data"]}
    assert {"stub-echo", "gpt-4-turbo", *OLLAMA_MODELS} <= set(models)
    assert all(set(model) >= COMMON and model["object"] == "model" for model in models.values())
    theirs, local = models["stub-echo"], models["llama3.2:latest"]
    assert (theirs["owned_by"], theirs["connection_type"]) == ("openai", "external")
    assert theirs["openai"]["owned_by"] == "stub"
    assert (local["owned_by"], local["connection_type"]) == ("ollama", "local")
    assert local["ollama"]["urls"] == [0]
    assert local["ollama"]["details"]["format"] == "gguf"


def test_models_need_a_token(house: House) -> None:
    detail(house.nobody.get("/api/models"), 401)


@pytest.mark.parametrize("path", ["/api/embeddings", "/api/v1/embeddings"])
@pytest.mark.parametrize(("model", "size"), [("stub-echo", 384), ("llama3.2:latest", 8)])
def test_embeddings(house: House, path: str, model: str, size: int) -> None:
    body = good(house.admin.client.post(path, json={"model": model, "input": ["été", "hiver"]}))
    assert (body["object"], body["model"]) == ("list", model)
    assert [(each["object"], each["index"], len(each["embedding"])) for each in body["data"]] == [
        ("embedding", 0, size),
        ("embedding", 1, size),
    ]
    assert body["data"][0] != body["data"][1]


def test_embeddings_of_an_unknown_model_are_404_json(house: House) -> None:
    assert "no-such-model" in detail(
        house.admin.client.post("/api/embeddings", json={"model": "no-such-model", "input": "a"}), 404
    )
    invalid(house.admin.client.post("/api/embeddings", content=b"{"))


@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/message"])
def test_anthropic_messages(house: House, path: str) -> None:
    body = good(house.admin.client.post(path, json={"model": "stub-echo", "max_tokens": 50, "messages": HI}))
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", "stub-echo")
    assert body["content"] == [{"type": "text", "text": ECHO}]
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    assert all(isinstance(body["usage"][key], int) for key in ("input_tokens", "output_tokens"))


def test_anthropic_messages_streamed(house: House) -> None:
    sent = {"model": "stub-echo", "max_tokens": 50, "messages": HI, "system": "SYS", "stream": True}
    events = events_of(house.admin.client.post("/api/v1/messages", json=sent))
    kinds = [event["type"] for event in events]
    assert [kinds[0], kinds[1], kinds[-3], kinds[-2], kinds[-1]] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    said = "".join(event["delta"]["text"] for event in events[2:-3])
    assert said == 'ECHO [{"role": "system", "content": "SYS"}, {"role": "user", "content": "hé"}]'


def test_anthropic_messages_honour_files(house: House) -> None:
    """The reference ignores them; the issue asks for more."""
    question = [{"role": "user", "content": "What is the warranty of the Zephyr pump?"}]
    refs = [{"type": "file", "id": house.zephyr}]
    sent = {"model": "stub-echo", "max_tokens": 50, "messages": question, "files": refs}
    body = good(house.admin.client.post("/api/v1/messages", json=sent))
    assert "27 months" in body["content"][0]["text"]
    wrong = sent | {"files": [{"type": "file", "id": UNKNOWN}]}
    assert UNKNOWN in detail(house.admin.client.post("/api/v1/messages", json=wrong), 404)


def test_anthropic_messages_of_an_unknown_model(house: House) -> None:
    sent = {"model": "no-such-model", "max_tokens": 50, "messages": HI}
    assert "no-such-model" in detail(house.admin.client.post("/api/v1/messages", json=sent), 404)


def test_tokens_are_counted_by_the_back_end_or_not_at_all(house: House) -> None:
    sent = {"model": "stub-echo", "messages": HI}
    house.stub.forget()
    detail(house.admin.client.post("/api/v1/messages/count_tokens", json=sent), 404)
    assert [each["body"]["model"] for each in house.stub.seen("/v1/messages/count_tokens")] == ["stub-echo"]


@pytest.mark.parametrize(
    ("path", "model", "upstream"),
    [
        ("/openai/chat/completions", "stub-echo", "/v1/chat/completions"),
        ("/ollama/v1/chat/completions", "stub-echo", "/v1/chat/completions"),
    ],
)
def test_plain_proxies_pass_files_on_unread(house: House, path: str, model: str, upstream: str) -> None:
    house.stub.forget()
    files = [{"type": "file", "id": "whatever it is"}]
    body = good(house.admin.client.post(path, json={"model": model, "messages": HI, "files": files}))
    assert body["choices"][0]["message"]["content"] == ECHO
    assert "sources" not in body
    [seen] = house.stub.seen(upstream)
    assert seen["body"]["files"] == files


def test_the_responses_of_openai_are_passed_through(house: House) -> None:
    body = good(house.admin.client.post("/openai/responses", json={"model": "stub-echo", "input": "hé"}))
    assert (body["id"], body["object"]) == ("resp_stub", "response")


def test_other_paths_of_openai_are_not_passed_through(house: House) -> None:
    assert house.admin.client.post("/openai/fine_tuning/jobs", json={}).status_code in (403, 404)


def test_ollama_tags_version_and_ps(house: House) -> None:
    tags = good(house.admin.client.get("/ollama/api/tags"))["models"]
    assert [tag["name"] for tag in tags] == OLLAMA_MODELS
    assert all((tag["urls"], tag["connection_type"]) == ([0], "local") for tag in tags)
    assert good(house.admin.client.get("/ollama/api/version"))["version"] == "0.12.0"
    assert good(house.admin.client.get("/ollama/api/ps"))["models"] == []


def test_ollama_streams_unless_told_otherwise(house: House) -> None:
    client = house.admin.client
    asked: dict[str, dict[str, Any]] = {"generate": {"prompt": "hé"}, "chat": {"messages": HI}}
    for path, body in asked.items():
        lines = lines_of(client.post(f"/ollama/api/{path}", json={"model": "llama3.2:latest"} | body))
        assert len(lines) > 1
        assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
        whole = good(client.post(f"/ollama/api/{path}", json={"model": "llama3.2:latest", "stream": False} | body))
        assert whole["done"] is True
        assert whole["eval_count"] == 20


OTHERS: list[tuple[str, dict[str, Any], str]] = [
    ("embed", {"input": ["é", "a"]}, "embeddings"),
    ("embeddings", {"prompt": "é"}, "embedding"),
    ("show", {}, "details"),
]


@pytest.mark.parametrize(("path", "body", "key"), OTHERS)
def test_ollama_embeds_and_shows(house: House, path: str, body: dict[str, Any], key: str) -> None:
    sent = {"model": "llama3.2:latest"} | body
    assert good(house.admin.client.post(f"/ollama/api/{path}", json=sent))[key]


@pytest.mark.parametrize("path", ["generate", "chat", "embed"])
def test_ollama_errors(house: House, path: str) -> None:
    sent = {"model": "no-such", "prompt": "x", "input": "x", "messages": HI}
    answer = house.admin.client.post(f"/ollama/api/{path}", json=sent)
    assert answer.status_code == 404
    assert "no-such" in answer.json()["detail"]
    invalid(house.admin.client.post(f"/ollama/api/{path}", content=b"{"))


def test_v1_models_is_the_list_of_openai(house: House) -> None:
    """Ragline's own base URL for OpenAI's clients."""
    body = good(house.admin.client.get("/v1/models"))
    assert body["object"] == "list"
    assert {"stub-echo", *OLLAMA_MODELS} <= {each["id"] for each in body["data"]}
