"""Section 1.3 of the contract: what goes wrong in a chat, before a model is asked and behind it."""

from __future__ import annotations

from typing import Any

import pytest

from .house import UNKNOWN, House, detail, events_of, good, invalid

CHAT = "/api/chat/completions"
HI = [{"role": "user", "content": "hé"}]


def test_an_unknown_model_is_found_before_anything_else(house: House) -> None:
    body = {"model": "no-such-model", "messages": HI, "files": [{"type": "file", "id": UNKNOWN}]}
    for path in (CHAT, "/api/v1/chat/completions"):
        assert "no-such-model" in detail(house.admin.client.post(path, json=body), 404)


@pytest.mark.parametrize("body", [{"messages": HI}, {"model": None}, {"model": 7}], ids=str)
def test_a_missing_model_is_bad_input(house: House, body: dict[str, Any]) -> None:
    assert house.admin.client.post(CHAT, json=body).status_code in (400, 404, 422)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b'{"model": "x", ', "application/json", id="malformed"),
        pytest.param(b"", "application/json", id="empty"),
        pytest.param(b"[]", "application/json", id="list"),
        pytest.param(b'"model"', "application/json", id="string"),
        pytest.param(b"bonjour", "text/plain", id="text"),
        pytest.param(b'{"model": "stub-echo", "seed": NaN}', "application/json", id="nan"),
    ],
)
def test_a_body_that_is_no_object_is_422(house: House, content: bytes, kind: str) -> None:
    invalid(house.admin.client.post(CHAT, content=content, headers={"Content-Type": kind}))


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param("bonjour", id="string"),
        pytest.param([{"content": "no role"}], id="no-role"),
        pytest.param(["bonjour"], id="strings"),
        pytest.param({"role": "user"}, id="object"),
    ],
)
def test_messages_that_are_none_are_bad_input(house: House, messages: Any) -> None:
    assert house.admin.client.post(CHAT, json={"model": "stub-echo", "messages": messages}).status_code in (400, 422)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("stub-500", 500, None), ("stub-429", 429, "rate_limit_exceeded"), ("stub-401", 401, "invalid_api_key")],
)
def test_an_error_of_the_back_end_is_passed_on(
    house: House, model: str, status: int, code: str | None, stream: bool
) -> None:
    answer = house.chat(model=model, stream=stream)
    assert answer.status_code == status
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    error = answer.json()["error"]
    assert (error["message"], error["code"]) == (f"stub says {status}", code)
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)


def test_a_lost_back_end_is_502_and_named(house: House) -> None:
    assert "open" in detail(house.chat(model="stub-drop"), 502, 504)


def test_a_back_end_that_is_lost_in_mid_stream_is_an_error_event(house: House) -> None:
    answer = house.chat(model="stub-drop", stream=True)
    assert answer.status_code == 200
    events = events_of(answer)
    assert events[-1] == "[DONE]"
    assert events[-2]["error"]["message"]
    assert all("error" not in event for event in events[:-2])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_page_instead_of_an_answer_is_no_fault_of_ours(house: House, stream: bool) -> None:
    answer = house.chat(model="stub-badjson", stream=stream)
    assert answer.status_code in (200, 502)
    assert "Traceback" not in answer.text
    if answer.status_code == 502:
        assert "open" in detail(answer, 502)


def test_a_prompt_of_8_mb_passes(house: House) -> None:
    prompt = "é" * 4_000_000
    answer = good(house.chat(model="stub-short", messages=[{"role": "user", "content": prompt}]))
    assert answer["choices"][0]["message"]["content"].startswith("one two three")


def test_a_file_that_is_still_processed_is_waited_for(house: House) -> None:
    text = "The warranty period of the Mistral pump is 31 months.\n" * 20
    files = {"file": ("mistral.txt", text.encode(), "text/plain")}
    made = good(house.admin.client.post("/api/v1/files/", files=files))
    assert made["data"]["status"] == "pending"
    [source] = good(house.chat(files=[{"type": "file", "id": made["id"]}]))["sources"]
    assert "31 months" in source["document"][0]


def test_a_file_that_failed_is_422_with_the_reason(house: House) -> None:
    files = {"file": ("leer.txt", b" \n\n \t ", "text/plain")}
    made = good(house.admin.client.post("/api/v1/files/?process_in_background=false", files=files))
    assert made["data"]["status"] == "failed"
    assert made["id"] in detail(house.chat(files=[{"type": "file", "id": made["id"]}]), 422)
