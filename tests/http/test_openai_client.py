"""The client of OpenAI, unchanged, on a real port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .calling import MODEL as CALLER
from .running import Running

NOTE = "La garantie de la pompe Zéphyr est de 27 mois.\n"
WARRANTY = "Combien de temps dure la garantie de la pompe Zéphyr ?"
QUESTION: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def openai_client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=120) as client:
        yield client


@pytest.mark.parametrize("base", ["/v1", "/api", "/api/v1"])
def test_openai_lists_models_and_chats(server: Running, base: str) -> None:
    with openai.OpenAI(base_url=f"{server.url}{base}", api_key=server.key, timeout=120) as client:
        assert "smollm2:135m" in {model.id for model in client.models.list()}
        whole = client.chat.completions.create(model="smollm2:135m", messages=QUESTION, max_tokens=8)
        assert whole.choices[0].message.content
        assert whole.usage is not None
        assert whole.usage.completion_tokens <= 8


def test_openai_streams(openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(model="gpt-4-turbo", messages=QUESTION, max_tokens=8, stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert len([piece for piece in pieces if piece]) > 1


def test_openai_sees_errors_as_what_they_are(openai_client: openai.OpenAI, server: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="nope"):
        openai_client.chat.completions.create(model="nope", messages=QUESTION)
    with pytest.raises(openai.NotFoundError, match="nope"):
        openai_client.models.retrieve("nope")
    with pytest.raises(openai.NotFoundError, match="nope"):
        openai_client.files.retrieve("nope")
    with openai_client.with_options(api_key="sk-wrong") as wrong, pytest.raises(openai.AuthenticationError):
        wrong.models.list()


def test_openai_embeds(openai_client: openai.OpenAI) -> None:
    """The client asks for base64 unless told otherwise."""
    for encoding in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        options: Any = encoding
        rows = openai_client.embeddings.create(model="multilingual-e5-small", input=["été", "hiver"], **options).data
        if encoding.get("encoding_format") != "base64":
            assert [len(row.embedding) for row in rows] == [384, 384]
        assert [row.index for row in rows] == [0, 1]


def test_openai_keeps_files(openai_client: openai.OpenAI) -> None:
    made = openai_client.files.create(file=("été.txt", NOTE.encode()), purpose="assistants")
    assert (made.filename, made.bytes, made.object) == ("été.txt", len(NOTE.encode()), "file")
    assert openai_client.files.wait_for_processing(made.id, poll_interval=0.1).status == "processed"
    assert openai_client.files.content(made.id).text == NOTE
    assert made.id in {each.id for each in openai_client.files.list()}
    assert openai_client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match=made.id):
        openai_client.files.retrieve(made.id)


@pytest.fixture
def store_id(openai_client: openai.OpenAI) -> Iterator[str]:
    """A vector store with one file, as the client makes it."""
    store = openai_client.vector_stores.create(name="Pompes d'été")
    file = openai_client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("zéphyr.txt", NOTE.encode()), poll_interval_ms=100
    )
    assert file.status == "completed"
    yield store.id
    openai_client.files.delete(file.id)
    assert openai_client.vector_stores.delete(store.id).deleted


def test_openai_searches_a_vector_store(openai_client: openai.OpenAI, store_id: str) -> None:
    store = openai_client.vector_stores.retrieve(store_id)
    assert (store.name, store.file_counts.completed, store.status) == ("Pompes d'été", 1, "completed")
    assert store_id in {each.id for each in openai_client.vector_stores.list()}
    [found] = openai_client.vector_stores.search(store_id, query=WARRANTY, max_num_results=3)
    assert found.filename == "zéphyr.txt"
    assert 0 < found.score <= 1
    assert found.content[0].text == NOTE.strip()
    [file] = openai_client.vector_stores.files.list(store_id)
    assert file.id == found.file_id


def test_openai_fills_a_vector_store_in_one_go(openai_client: openai.OpenAI, store_id: str) -> None:
    files: list[Any] = [(f"{n}.txt", f"Le moteur n° {n} tourne à {n}000 tours.".encode()) for n in (1, 2)]
    batch = openai_client.vector_stores.file_batches.upload_and_poll(store_id, files=files, poll_interval_ms=100)
    assert (batch.status, batch.file_counts.completed) == ("completed", 2)
    found = openai_client.vector_stores.search(store_id, query="moteur n° 2", max_num_results=1)
    assert found.data[0].filename == "2.txt"
    for file in openai_client.vector_stores.files.list(store_id):
        if file.id != found.data[0].file_id:
            openai_client.vector_stores.files.delete(file.id, vector_store_id=store_id)


def test_openai_answers_from_a_vector_store(openai_client: openai.OpenAI, store_id: str) -> None:
    tools: Any = [{"type": "file_search", "vector_store_ids": [store_id]}]
    response = openai_client.responses.create(
        model="extractive", input=WARRANTY, tools=tools, include=["file_search_call.results"]
    )
    assert response.status == "completed"
    assert "27 mois" in response.output_text
    [call] = [item for item in response.output if item.type == "file_search_call"]
    assert call.results is not None
    assert [result.filename for result in call.results] == ["zéphyr.txt"]
    [message] = [item for item in response.output if item.type == "message"]
    cited = [note for part in message.content if part.type == "output_text" for note in part.annotations]
    assert {note.filename for note in cited if note.type == "file_citation"} == {"zéphyr.txt"}


def test_openai_streams_an_answer_from_a_vector_store(openai_client: openai.OpenAI, store_id: str) -> None:
    tools: Any = [{"type": "file_search", "vector_store_ids": [store_id]}]
    with openai_client.responses.stream(model="extractive", input=WARRANTY, tools=tools) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    order = [
        "response.created",
        "response.file_search_call.completed",
        "response.output_text.delta",
        "response.output_text.done",
        "response.completed",
    ]
    assert [kind for kind in dict.fromkeys(kinds) if kind in order] == order
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "27 mois" in said
    assert final.output_text == said


def test_openai_reads_citations(openai_client: openai.OpenAI, store_id: str) -> None:
    asked: Any = [{"role": "user", "content": WARRANTY}]
    more = {"files": [{"type": "collection", "id": store_id}]}
    whole: Any = openai_client.chat.completions.create(model="extractive", messages=asked, extra_body=more)
    assert [each["supported"] for each in whole.citations] == [True]
    stream = openai_client.chat.completions.create(model="extractive", messages=asked, stream=True, extra_body=more)
    *_, last = list(stream)
    said: Any = last
    assert (last.object, last.choices, last.model) == ("chat.completion.chunk", [], "extractive")
    assert said.citations == whole.citations
    with openai_client.chat.completions.stream(model="extractive", messages=asked, extra_body=more) as events:
        assert "27 mois" in str(events.get_final_completion().choices[0].message.content)


def test_openai_calls_tools(calling: Running) -> None:
    function = {"name": "météo", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    tools: Any = [{"type": "function", "function": function}]
    with openai.OpenAI(base_url=f"{calling.url}/v1", api_key=calling.key, timeout=60) as client:
        message = client.chat.completions.create(model=CALLER, messages=QUESTION, tools=tools).choices[0].message
        assert message.tool_calls is not None
        [call] = message.tool_calls
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "Orléans"}
        history = [*QUESTION, message, {"role": "tool", "tool_call_id": call.id, "content": "21 °C"}]
        answer = client.chat.completions.create(model=CALLER, messages=history, tools=tools)
    assert answer.choices[0].message.content == "Il fait 21 °C."
