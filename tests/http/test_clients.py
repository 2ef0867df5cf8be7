"""The clients of Ollama, Anthropic, LlamaIndex and LangChain, unchanged, on a real port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import ollama
import pytest
from anthropic.types import ToolParam
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike
from pydantic import SecretStr

from .calling import MODEL as CALLER
from .running import Running

NOTE = "La garantie de la pompe Zéphyr est de 27 mois.\n"
WARRANTY = "Combien de temps dure la garantie de la pompe Zéphyr ?"
QUESTION: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def ollama_client(server: Running) -> Iterator[ollama.Client]:
    headers = {"Authorization": f"Bearer {server.key}"}
    with ollama.Client(host=f"{server.url}/ollama", headers=headers, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture
def anthropic_client(server: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=f"{server.url}/api", api_key=server.key, timeout=120) as client:
        yield client


def test_ollama_lists_chats_generates_and_embeds(ollama_client: ollama.Client) -> None:
    names = {model.model for model in ollama_client.list().models}
    assert "smollm2:135m" in names
    options = {"num_predict": 8}
    chat = ollama_client.chat(model="smollm2:135m", messages=QUESTION, options=options)
    assert chat.message.content
    parts = list(ollama_client.chat(model="smollm2:135m", messages=QUESTION, options=options, stream=True))
    assert len(parts) > 1
    assert parts[-1].done
    pieces = list(ollama_client.generate(model="llama3.2", prompt="Say hello.", options=options, stream=True))
    assert pieces[-1].done
    assert "".join(piece.response or "" for piece in pieces)
    assert ollama_client.generate(model="llama3.2", prompt="Say hello.", options=options).response
    embedded = ollama_client.embed(model="llama3.2", input=["Open WebUI est génial !", "Générons des embeddings."])
    assert [len(vector) for vector in embedded.embeddings] == [384, 384]
    with pytest.raises(ollama.ResponseError, match="nope"):
        ollama_client.chat(model="nope", messages=QUESTION)


def test_ollama_shows_what_there_is_and_what_runs(ollama_client: ollama.Client) -> None:
    ollama_client.generate(model="smollm2:135m", prompt="Say hello.", options={"num_predict": 2})
    shown = ollama_client.show("smollm2:135m")
    assert shown.details is not None
    assert shown.details.format == "gguf"
    assert "smollm2:135m" in {each.model for each in ollama_client.ps().models}


def test_anthropic_answers_and_streams(anthropic_client: anthropic.Anthropic) -> None:
    message = anthropic_client.messages.create(model="smollm2:135m", max_tokens=8, messages=QUESTION)
    assert (message.type, message.role, message.content[0].type) == ("message", "assistant", "text")
    assert message.usage.output_tokens <= 8
    with anthropic_client.messages.stream(model="smollm2:135m", max_tokens=8, messages=QUESTION) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said
    assert [part.text for part in final.content if part.type == "text"] == [said]
    assert final.stop_reason in ("end_turn", "max_tokens")


def test_anthropic_uses_the_files_of_a_chat(anthropic_client: anthropic.Anthropic, client: httpx.Client) -> None:
    made = client.post("/api/v1/files/", files={"file": ("zéphyr.txt", NOTE.encode())}).json()["id"]
    asked: Any = [{"role": "user", "content": WARRANTY}]
    refs = {"files": [{"type": "file", "id": made}]}
    message = anthropic_client.messages.create(model="extractive", max_tokens=99, messages=asked, extra_body=refs)
    assert "27 mois" in "".join(part.text for part in message.content if part.type == "text")


def test_anthropic_sees_an_unknown_model_as_not_found(anthropic_client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="nope"):
        anthropic_client.messages.create(model="nope", max_tokens=8, messages=QUESTION)


def test_anthropic_calls_tools(calling: Running) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [ToolParam(name="meteo", description="Le temps qu'il fait", input_schema=schema)]
    with anthropic.Anthropic(base_url=f"{calling.url}/api", api_key=calling.key, timeout=60) as client:
        message = client.messages.create(model=CALLER, max_tokens=99, messages=QUESTION, tools=tools)
        [call] = [part for part in message.content if part.type == "tool_use"]
        assert (message.stop_reason, call.name, call.input) == ("tool_use", "meteo", {"city": "Orléans"})
        with client.messages.stream(model=CALLER, max_tokens=99, messages=QUESTION, tools=tools) as stream:
            streamed = stream.get_final_message()
        assert [(part.name, part.input) for part in streamed.content if part.type == "tool_use"] == [
            ("meteo", {"city": "Orléans"})
        ]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 °C"}
        history: Any = [*QUESTION, {"role": "assistant", "content": message.content}]
        history.append({"role": "user", "content": [result]})
        answer = client.messages.create(model=CALLER, max_tokens=99, messages=history, tools=tools)
    assert [part.text for part in answer.content if part.type == "text"] == ["Il fait 21 °C."]


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """What the frameworks would make themselves and never close."""
    with httpx.Client(timeout=120, trust_env=False) as client:
        yield client


def test_llama_index_talks_as_if_to_openai(server: Running, http: httpx.Client) -> None:
    model = OpenAILike(
        model="smollm2:135m",
        api_base=f"{server.url}/v1",
        api_key=server.key,
        is_chat_model=True,
        max_tokens=8,
        http_client=http,
    )
    message = ChatMessage(role="user", content="Say hello.")
    assert model.chat([message]).message.content
    assert list(model.stream_chat([message]))[-1].message.content
    assert model.complete("Say hello.").text


def test_llama_index_talks_as_if_to_ollama(ollama_client: ollama.Client) -> None:
    model = Ollama(model="smollm2:135m", client=ollama_client, additional_kwargs={"num_predict": 8})
    message = ChatMessage(role="user", content="Say hello.")
    assert model.chat([message]).message.content
    assert list(model.stream_chat([message]))[-1].message.content
    assert model.complete("Say hello.").text


def test_langchain_invokes_and_streams(server: Running, http: httpx.Client) -> None:
    model = ChatOpenAI(
        model="smollm2:135m",
        base_url=f"{server.url}/v1",
        api_key=SecretStr(server.key),
        max_completion_tokens=8,
        http_client=http,
    )
    assert model.invoke("Say hello.").content
    assert "".join(str(chunk.content) for chunk in model.stream("Say hello."))
