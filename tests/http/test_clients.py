"""The official clients, unchanged, on a real port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest

from .running import Running


@pytest.fixture
def openai_client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/api", api_key=server.key, timeout=120)


@pytest.fixture
def ollama_client(server: Running) -> Iterator[ollama.Client]:
    headers = {"Authorization": f"Bearer {server.key}"}
    with ollama.Client(host=f"{server.url}/ollama", headers=headers, timeout=120, trust_env=False) as client:
        yield client


QUESTION: Any = [{"role": "user", "content": "Say hello."}]


def test_openai_lists_models_and_chats(openai_client: openai.OpenAI) -> None:
    with openai_client as client:
        assert "smollm2:135m" in {model.id for model in client.models.list()}
        whole = client.chat.completions.create(model="smollm2:135m", messages=QUESTION, max_tokens=8)
        assert whole.choices[0].message.content
        assert whole.usage is not None
        assert whole.usage.completion_tokens <= 8


def test_openai_streams(openai_client: openai.OpenAI) -> None:
    with openai_client as client:
        stream = client.chat.completions.create(model="gpt-4-turbo", messages=QUESTION, max_tokens=8, stream=True)
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert len([piece for piece in pieces if piece]) > 1


def test_openai_sees_an_unknown_model_as_not_found(openai_client: openai.OpenAI) -> None:
    with openai_client as client, pytest.raises(openai.NotFoundError, match="nope"):
        client.chat.completions.create(model="nope", messages=QUESTION)


def test_ollama_lists_chats_generates_and_embeds(ollama_client: ollama.Client) -> None:
    names = {model.model for model in ollama_client.list().models}
    assert "smollm2:135m" in names
    options = {"num_predict": 8}
    chat = ollama_client.chat(model="smollm2:135m", messages=QUESTION, options=options)
    assert chat.message.content
    pieces = list(ollama_client.generate(model="llama3.2", prompt="Say hello.", options=options, stream=True))
    assert pieces[-1].done
    assert "".join(piece.response or "" for piece in pieces)
    embedded = ollama_client.embed(model="llama3.2", input=["Open WebUI est génial !", "Générons des embeddings."])
    assert [len(vector) for vector in embedded.embeddings] == [384, 384]
