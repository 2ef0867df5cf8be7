"""Section 1.3 of the contract: chat completions in detail, and where we do better."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .house import LIBRARY, UNKNOWN, WARRANTY, ZEPHYR, House, detail, events_of, good
from .shapes import steps

CHAT = "/api/chat/completions"
UPSTREAM = "/v1/chat/completions"


def sent_on(house: House) -> list[Any]:
    """Return the bodies that the model server was sent."""
    return [each["body"] for each in house.stub.seen(UPSTREAM)]


def file(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "id": id, **more}


def test_an_answer_is_the_back_ends_untouched(house: House) -> None:
    body = good(house.chat())
    assert body["id"].startswith("chatcmpl-stub-")
    assert body["system_fingerprint"] == "stub"
    assert "sources" not in body


def test_sources_come_first_in_the_object(house: House) -> None:
    assert next(iter(good(house.chat(files=[file(house.zephyr)])))) == "sources"


@pytest.mark.parametrize(("model", "end"), [("stub-echo", ["finish", "done"]), ("llama3.2:latest", ["finish", "done"])])
def test_sources_are_the_first_event_of_a_stream(house: House, model: str, end: list[str]) -> None:
    plain = events_of(house.chat(model=model, stream=True))
    assert steps(plain) == ["text", *end]
    events = events_of(house.chat(model=model, stream=True, files=[file(house.zephyr)]))
    assert steps(events) == ["sources", "text", *end]
    assert "choices" not in events[0]
    if model != "stub-echo":
        assert events[-2]["usage"]["total_tokens"] == 30


def test_a_source_has_the_reference_as_it_was_sent(house: House) -> None:
    ref = file(house.zephyr, name="n'importe quoi", colour="blue")
    [source] = good(house.chat(files=[ref]))["sources"]
    assert source["source"] == ref
    assert "27 months" in source["document"][0]
    assert len(source["document"]) == len(source["metadata"]) == len(source["distances"])
    assert all(0 <= distance <= 1 for distance in source["distances"])
    assert source["distances"] == sorted(source["distances"], reverse=True)


def test_metadata_say_where_a_passage_stands(house: House) -> None:
    text = "# Pompe Zéphyr\n\n## Garantie\n\nThe warranty of the Zephyr pump is 27 months.\n"
    made = house.upload(text, name="notice-{n}.md")
    known = good(house.admin.client.get(f"/api/v1/files/{made}"))
    [source] = good(house.chat(files=[file(made)]))["sources"]
    place = source["metadata"][0]
    wanted = {"name": known["filename"], "source": known["filename"], "file_id": made, "hash": known["hash"]}
    wanted |= {"file_hash": known["meta"]["file_hash"], "size": known["meta"]["size"], "created_by": house.admin.id}
    wanted |= {"content_type": known["meta"]["content_type"]}
    assert {key: place.get(key) for key in wanted} == wanted
    assert "Garantie" in place["heading"]
    assert known["data"]["content"][place["start_index"] : place["end_index"]].strip()


def test_the_same_reference_twice_is_one_source(house: House) -> None:
    assert len(good(house.chat(files=[file(house.zephyr)] * 2))["sources"]) == 1


def test_parameters_go_to_the_back_end_unchanged(house: House) -> None:
    parameters: dict[str, Any] = {
        "temperature": 0.1,
        "seed": 5,
        "stop": ["x"],
        "unknown_param": {"é": [1, None]},
        "response_format": {"type": "json_object"},
        "tools": [{"type": "function", "function": {"name": "météo", "parameters": {}}}],
        "user": "u",
    }
    house.stub.forget()
    good(house.chat(**parameters, metadata={"a": 1}, files=[file(house.zephyr)]))
    [body] = sent_on(house)
    assert {key: body[key] for key in parameters} == parameters
    assert not {"metadata", "files", "sources"} & set(body)


def test_stream_options_go_to_the_back_end(house: House) -> None:
    events = events_of(house.chat(stream=True, stream_options={"include_usage": True}))
    assert steps(events) == ["text", "finish", "usage", "done"]


def test_a_stored_chat_that_there_is_not_is_404(house: House) -> None:
    detail(house.chat(chat_id=UNKNOWN), 404)


@pytest.mark.parametrize("body", [{}, {"messages": []}], ids=["missing", "empty"])
def test_no_messages_are_sent_on_as_none(house: House, body: dict[str, Any]) -> None:
    answer = good(house.admin.client.post(CHAT, json={"model": "stub-echo"} | body))
    assert answer["choices"][0]["message"]["content"] == "ECHO []"


def test_history_and_system_message_stay_as_they_are(house: House) -> None:
    said = [
        {"role": "system", "content": "Réponds en vers."},
        {"role": "user", "content": "Bonjour"},
        {"role": "assistant", "content": "Oui ?"},
    ]
    house.stub.forget()
    good(house.chat(messages=[*said, {"role": "user", "content": WARRANTY}], files=[file(house.zephyr)]))
    [body] = sent_on(house)
    assert [each for each in body["messages"] if each in said] == said
    assert "27 months" in json.dumps(body["messages"])


def test_several_parts_of_a_message_keep_the_image(house: House) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    message = {"role": "user", "content": [{"type": "text", "text": WARRANTY}, image]}
    house.stub.forget()
    good(house.chat(messages=[message], files=[file(house.zephyr)]))
    [body] = sent_on(house)
    [parts] = [each["content"] for each in body["messages"] if isinstance(each["content"], list)]
    assert image in parts
    assert "27 months" in json.dumps(body["messages"])


def test_the_model_is_told_the_name_of_a_source_and_called_once(house: House) -> None:
    name = good(house.admin.client.get(f"/api/v1/files/{house.zephyr}"))["filename"]
    house.stub.forget()
    good(house.chat(files=[file(house.zephyr)]))
    [body] = sent_on(house)
    assert name in json.dumps(body["messages"], ensure_ascii=False)


TEXT = {"type": "text", "name": "note en ligne", "content": "The Zephyr pump warranty is 99 months."}
FOUND = [
    pytest.param(lambda house: file(house.zephyr), [ZEPHYR[:40]], True, id="file"),
    pytest.param(lambda house: {"type": "collection", "id": house.pumps}, [ZEPHYR[:40]], True, id="collection"),
    pytest.param(lambda _: TEXT, ["99 months"], False, id="text"),
    pytest.param(lambda house: file(house.zephyr, context="full"), [ZEPHYR], False, id="full"),
    pytest.param(
        lambda house: {"type": "collection", "id": house.pumps, "context": "full"}, [ZEPHYR, LIBRARY], False,
        id="full-collection",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("ref", "texts", "searched"), FOUND)
def test_kinds_of_references(house: House, ref: Any, texts: list[str], searched: bool) -> None:
    house.stub.forget()
    [source] = good(house.chat(files=[ref(house)]))["sources"]
    found, [body] = "\n".join(source["document"]), sent_on(house)
    prompt = "\n".join(str(each["content"]) for each in body["messages"])
    for text in texts:
        assert text in found
        assert text.splitlines()[0] in prompt
    assert ("distances" in source) is searched


def refused(house: House, files: Any) -> httpx.Response:
    """Ask with these references and see that no model was called."""
    house.stub.forget()
    answer = house.chat(house.user, files=files)
    assert sent_on(house) == []
    return answer


def deleted_file(house: House) -> dict[str, Any]:
    made = house.upload(who=house.user)
    good(house.user.client.delete(f"/api/v1/files/{made}"))
    return file(made)


def deleted_collection(house: House) -> dict[str, Any]:
    made = house.collection(who=house.user)
    good(house.user.client.delete(f"/api/v1/knowledge/{made}/delete"))
    return {"type": "collection", "id": made}


NAMELESS = [
    pytest.param(lambda _: file(UNKNOWN), id="unknown-file"),
    pytest.param(lambda _: {"type": "collection", "id": UNKNOWN}, id="unknown-collection"),
    pytest.param(deleted_file, id="deleted-file"),
    pytest.param(deleted_collection, id="deleted-collection"),
    pytest.param(lambda house: file(house.zephyr), id="file-of-another"),
    pytest.param(lambda house: {"type": "collection", "id": house.pumps}, id="collection-of-another"),
    pytest.param(lambda house: {"type": "collection", "id": house.upload(who=house.user)}, id="file-as-collection"),
    pytest.param(lambda house: file(house.collection(who=house.user)), id="collection-as-file"),
]


@pytest.mark.parametrize("ref", NAMELESS)
def test_a_reference_that_names_nothing_is_404_and_named(house: House, ref: Any) -> None:
    wrong = ref(house)
    assert wrong["id"] in detail(refused(house, [wrong]), 404)
    own = file(house.upload(who=house.user))
    assert wrong["id"] in detail(refused(house, [own, wrong]), 404)


MALFORMED = [
    pytest.param("a", id="string"),
    pytest.param({"type": "file", "id": "a"}, id="object"),
    pytest.param(["a"], id="list-of-strings"),
    pytest.param([{"type": "file"}], id="no-id"),
    pytest.param([{"id": UNKNOWN}], id="no-type"),
    pytest.param([{"type": "text"}], id="text-without-content"),
    pytest.param([{"type": "collection", "id": 7}], id="number"),
]


@pytest.mark.parametrize("files", MALFORMED)
def test_malformed_references_are_422(house: House, files: Any) -> None:
    assert refused(house, files).status_code == 422


def test_an_unknown_type_of_reference_is_refused(house: House) -> None:
    assert refused(house, [{"type": "spell", "id": UNKNOWN}]).status_code in (404, 422)


@pytest.mark.parametrize("files", [None, []], ids=["null", "empty"])
def test_no_references_are_none(house: House, files: Any) -> None:
    assert "sources" not in good(house.chat(files=files))
