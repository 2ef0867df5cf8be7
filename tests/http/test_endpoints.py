"""The endpoints of the API document on a real port: shapes, order of events, errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .running import Running

FRENCH = """# Garantie

La pompe Zéphyr est garantie vingt-sept mois. Le joint d'arbre porte la référence ZP-8841.

# Entretien

Un entretien est nécessaire toutes les quatre cents heures de marche.
"""
ENGLISH = "# Library\n\nThe city library of Nordhaven opens at nine. Membership costs 12 euros a year.\n"


def upload(client: httpx.Client, name: str, text: str | bytes) -> dict[str, Any]:
    answer = client.post("/api/v1/files/", files={"file": (name, text)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finished(client: httpx.Client, file_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        status: dict[str, Any] = client.get(f"/api/v1/files/{file_id}/process/status").json()
        if status["status"] in ("completed", "failed"):
            return status
        time.sleep(0.05)
    raise AssertionError("still not processed")


def ask(client: httpx.Client, question: str, files: object = None, **more: Any) -> httpx.Response:
    body = {"model": "extractive", "messages": [{"role": "user", "content": question}], "files": files, **more}
    return client.post("/api/chat/completions", json=body)


def events(text: str) -> Iterator[Any]:
    for block in text.split("\n\n"):
        if block.startswith("data: "):
            content = block.removeprefix("data: ")
            yield content if content == "[DONE]" else json.loads(content)


@pytest.fixture(scope="module")
def manual(server: Running) -> Iterator[str]:
    with server.client() as client:
        file_id = upload(client, "zéphyr.md", FRENCH)["id"]
        assert finished(client, file_id)["status"] == "completed"
        yield file_id


def test_a_file_goes_from_pending_to_completed_with_its_text(client: httpx.Client) -> None:
    made = upload(client, "library.md", ENGLISH)
    assert made["data"] == {"status": "pending"}
    assert made["meta"]["name"] == made["filename"] == "library.md"
    status = finished(client, made["id"])
    assert (status["status"], status["stage"], status["progress"], status["error"]) == ("completed", "done", 1.0, None)
    known = client.get(f"/api/v1/files/{made['id']}").json()
    assert "Membership costs 12 euros" in known["data"]["content"]
    assert known["hash"] == known["meta"]["file_hash"]


def test_a_chat_over_a_file_answers_with_the_right_source(client: httpx.Client, manual: str) -> None:
    answer = ask(client, "Quelle est la durée de la garantie ?", [{"type": "file", "id": manual}]).json()
    assert next(iter(answer)) == "sources"
    [source] = answer["sources"]
    assert source["source"]["id"] == manual
    assert "vingt-sept mois" in source["document"][0]
    assert source["metadata"][0]["name"] == "zéphyr.md"
    assert 0 < source["distances"][0] <= 1
    assert "vingt-sept mois" in answer["choices"][0]["message"]["content"]
    assert "[1]" in answer["choices"][0]["message"]["content"]


def test_offsets_of_a_source_are_those_of_the_extracted_text(client: httpx.Client, manual: str) -> None:
    answer = ask(client, "Quelle référence porte le joint ?", [{"type": "file", "id": manual}]).json()
    text = client.get(f"/api/v1/files/{manual}").json()["data"]["content"]
    for document, where in zip(answer["sources"][0]["document"], answer["sources"][0]["metadata"], strict=True):
        assert text[where["start_index"] : where["end_index"]] == document


def test_a_stream_begins_with_the_sources_and_ends_with_done(client: httpx.Client, manual: str) -> None:
    sent = ask(client, "Quelle est la durée de la garantie ?", [{"type": "file", "id": manual}], stream=True)
    assert sent.headers["content-type"].startswith("text/event-stream")
    received = list(events(sent.text))
    assert "vingt-sept mois" in received[0]["sources"][0]["document"][0]
    assert received[1]["choices"][0]["delta"]["role"] == "assistant"
    assert [event["choices"] for event in received[1:-1] if "citations" in event] == [[]]
    assert [event for event in received[1:-1] if event["choices"]][-1]["choices"][0]["finish_reason"] == "stop"
    assert received[-1] == "[DONE]"


def test_a_collection_answers_from_its_files_even_while_they_are_processed(client: httpx.Client, manual: str) -> None:
    made = client.post("/api/v1/knowledge/create", json={"name": "Manuels", "description": "d"}).json()
    assert made["files"] is None
    fresh = upload(client, "new.md", "# Turbine\n\nThe turbine of Nordhaven weighs nine tons.\n")["id"]
    for file_id in (manual, fresh):
        added = client.post(f"/api/v1/knowledge/{made['id']}/file/add", json={"file_id": file_id})
        assert added.status_code == 200
    assert {file["id"] for file in added.json()["files"]} == {manual, fresh}
    answer = ask(client, "How much does the turbine weigh?", [{"type": "collection", "id": made["id"]}]).json()
    assert "nine tons" in answer["sources"][0]["document"][0]
    listed = client.get("/api/v1/knowledge/").json()
    assert [item["file_count"] for item in listed["items"] if item["id"] == made["id"]] == [2]
    assert client.get(f"/api/v1/knowledge/{made['id']}").json()["write_access"] is True


def test_a_chat_sees_only_what_it_references(client: httpx.Client, manual: str) -> None:
    other = upload(client, "other.md", "# Autre\n\nLa garantie de l'autre pompe est de trois ans.\n")["id"]
    answer = ask(client, "Quelle est la durée de la garantie ?", [{"type": "file", "id": other}]).json()
    assert [where["file_id"] for where in answer["sources"][0]["metadata"]] == [other]


def test_the_models_have_what_clients_read(client: httpx.Client) -> None:
    models = {model["id"]: model for model in client.get("/api/models").json()["data"]}
    assert models["extractive"]["object"] == "model"
    assert models["gpt-4-turbo"]["alias_of"] in models
    assert {"id", "name", "owned_by", "tags"} <= set(models["extractive"])


def test_json_without_its_content_type_and_a_final_slash_are_understood(server: Running) -> None:
    body = json.dumps({"model": "extractive", "messages": [{"role": "user", "content": "Hello?"}]})
    headers = {"Authorization": f"bearer {server.key}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{server.url}/api/chat/completions/", content=body, headers=headers, trust_env=False)
    assert answer.json()["object"] == "chat.completion"


def test_events_of_a_files_progress_end_with_completed(client: httpx.Client) -> None:
    file_id = upload(client, "progress.md", ENGLISH)["id"]
    with client.stream("GET", f"/api/v1/files/{file_id}/process/status", params={"stream": "true"}) as answer:
        received = list(events("".join(answer.iter_text())))
    assert received[-1]["status"] == "completed"
    progress = [event["progress"] for event in received]
    assert progress == sorted(progress)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/models"),
        ("POST", "/api/chat/completions"),
        ("GET", "/ollama/api/tags"),
        ("POST", "/ollama/api/generate"),
        ("POST", "/api/v1/files/"),
        ("GET", "/api/v1/files/x"),
        ("GET", "/api/v1/files/x/process/status"),
        ("GET", "/api/v1/knowledge/"),
        ("POST", "/api/v1/knowledge/create"),
        ("POST", "/api/v1/knowledge/x/file/add"),
    ],
)
@pytest.mark.parametrize("authorization", ["", "Bearer sk-wrong", "Bearer x.y.z", "Basic YTpi", "Bearer"])
def test_no_or_a_bad_token_is_401(server: Running, method: str, path: str, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx.request(method, server.url + path, headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        pytest.param({"model": "nope", "messages": []}, 404, "nope", id="model"),
        pytest.param({"model": "extractive", "files": [{"type": "file", "id": "no-f"}]}, 404, "no-f", id="file"),
        pytest.param({"model": "extractive", "files": [{"type": "collection", "id": "no-c"}]}, 404, "no-c", id="coll"),
        pytest.param({"model": "extractive", "files": [{"type": "folder", "id": "x"}]}, 422, "type", id="type"),
        pytest.param({"model": "extractive", "files": [{"type": "file"}]}, 422, "id", id="no-id"),
        pytest.param({"model": "extractive", "files": "x"}, 422, "files", id="not-a-list"),
        pytest.param({"messages": []}, 422, "model", id="no-model"),
        pytest.param({"model": "extractive", "messages": "hi"}, 422, "messages", id="messages"),
        pytest.param({"model": "extractive", "messages": [{"content": "hi"}]}, 422, "role", id="no-role"),
    ],
)
def test_a_wrong_chat_names_what_is_wrong(client: httpx.Client, body: object, status: int, named: str) -> None:
    answer = client.post("/api/chat/completions", json=body)
    assert (answer.status_code, named in answer.text) == (status, True), answer.text


def test_malformed_json_is_422(client: httpx.Client) -> None:
    answer = client.post(
        "/api/chat/completions", content='{"model": "x", ', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "json_invalid")


def test_an_empty_file_is_400_and_an_unreadable_type_says_what_can_be_read(client: httpx.Client) -> None:
    empty = client.post("/api/v1/files/", files={"file": ("empty.txt", b"")})
    assert (empty.status_code, "empty" in empty.json()["detail"]) == (400, True)
    binary = client.post("/api/v1/files/", files={"file": ("a.exe", b"MZ\x00\x01\x02" * 50)})
    assert (binary.status_code, "pdf" in binary.json()["detail"].lower()) == (400, True)


def test_two_files_in_one_upload_are_400(client: httpx.Client) -> None:
    answer = client.post("/api/v1/files/", files=[("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))])
    assert (answer.status_code, "one file" in answer.json()["detail"]) == (400, True)


def test_a_file_that_cannot_be_read_fails_with_a_reason_and_a_chat_over_it_says_so(client: httpx.Client) -> None:
    broken = upload(client, "broken.pdf", b"%PDF-1.7\nnothing more")["id"]
    status = finished(client, broken)
    assert status["status"] == "failed"
    assert status["error"]
    answer = ask(client, "What?", [{"type": "file", "id": broken}])
    assert answer.status_code == 422
    assert status["error"] in answer.json()["detail"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\temp\\note.txt", "note.txt"),
        ("a\u202etxt.exe.txt", "atxt.exe.txt"),
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
    ],
)
def test_hostile_names_are_tamed(client: httpx.Client, sent: str, kept: str) -> None:
    assert upload(client, sent, "text")["filename"] == kept


def test_unknown_paths_are_json_404(client: httpx.Client) -> None:
    for path in ("/api/nope", "/api/v1/nope", "/nope"):
        for answer in (client.get(path), client.get(f"{path}/")):
            assert (answer.status_code, answer.json()) == (404, {"detail": f"Not Found: there is no route GET {path}"})


def test_the_pages_that_describe_the_api_are_off_in_production(client: httpx.Client) -> None:
    assert [client.get(path).status_code for path in ("/docs", "/openapi.json")] == [404, 404]


def test_sign_up_once_sign_in_and_use_the_session(server: Running) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as guest:
        account = {"name": "Ada", "email": "ada@example.org", "password": "correct horse"}
        made = guest.post("/api/v1/auths/signup", json=account)
        assert (made.status_code, made.json()["role"]) == (200, "admin")
        assert guest.post("/api/v1/auths/signup", json=account | {"email": "b@example.org"}).status_code == 403
        wrong = guest.post("/api/v1/auths/signin", json={"email": "ada@example.org", "password": "wrong"})
        unknown = guest.post("/api/v1/auths/signin", json={"email": "eve@example.org", "password": "wrong"})
        assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
        session = guest.post("/api/v1/auths/signin", json={k: account[k] for k in ("email", "password")}).json()
        guest.cookies.clear()
        bearer = {"Authorization": f"Bearer {session['token']}"}
        assert guest.get("/api/v1/auths/", headers=bearer).json()["email"] == "ada@example.org"
        key = guest.post("/api/v1/auths/api_key", headers=bearer).json()["api_key"]
        assert guest.get("/api/models", headers={"x-api-key": key}).status_code == 200
        assert guest.get("/api/v1/auths/", headers={"Authorization": f"Bearer {key}"}).status_code == 403
