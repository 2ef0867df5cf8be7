"""Section 1.1 of the contract: tokens, where they are taken from, and what happens without the right one."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from .house import PASSWORD, House, detail, good

FOUR_WEEKS_S = 28 * 86400
UNKNOWN_KEY = f"sk-{'0123456789abcdef' * 2}"


def models(house: House, **sent: Any) -> httpx.Response:
    """Ask for the models with nothing but these headers, cookies or parameters."""
    assert house.admin
    with httpx.Client(base_url=house.running.url, trust_env=False, cookies=sent.pop("cookies", None)) as client:
        return client.get("/api/models", **sent)


@pytest.mark.parametrize("kind", ["key", "jwt"])
@pytest.mark.parametrize(
    "carrier",
    [
        pytest.param(lambda token: {"headers": {"Authorization": f"Bearer {token}"}}, id="bearer"),
        pytest.param(lambda token: {"headers": {"Authorization": f"bearer {token}"}}, id="lower-case"),
        pytest.param(lambda token: {"headers": {"x-api-key": token}}, id="x-api-key"),
        pytest.param(lambda token: {"cookies": {"token": token}}, id="cookie"),
    ],
)
def test_a_token_is_taken_from_three_places(house: House, carrier: Any, kind: str) -> None:
    good(models(house, **carrier(getattr(house.admin, kind))))


def test_a_key_in_the_query_is_not_taken(house: House) -> None:
    detail(models(house, params={"api_key": house.admin.key}), 401)


def test_a_session_token_has_the_claims_of_the_contract(house: House) -> None:
    header, claims, _ = house.admin.jwt.split(".")
    read = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
    assert read[0]["alg"] == "HS256"
    assert {"id", "exp", "jti", "iat", "session_stamp"} <= set(read[1])
    assert read[1]["exp"] - read[1]["iat"] == FOUR_WEEKS_S
    assert abs(read[1]["iat"] - time.time()) < 600


def test_an_api_key_is_sk_and_32_hex_digits(house: House) -> None:
    prefix, _, digits = house.admin.key.partition("-")
    assert (prefix, len(digits), set(digits) <= set("0123456789abcdef")) == ("sk", 32, True)


def test_a_second_key_leaves_the_first_one_valid(house: House) -> None:
    person = house.new_user("Aïcha")
    second = good(person.client.post("/api/v1/auths/api_key"))["api_key"]
    assert second != person.key
    good(house.client(second).get("/api/models"))
    good(person.client.get("/api/models"))


def test_an_api_key_is_no_human_session(house: House) -> None:
    detail(house.admin.client.get("/api/v1/auths/"), 403)
    session = good(house.client(house.admin.jwt).get("/api/v1/auths/"))
    assert {"id", "name", "role", "email", "profile_image_url", "token", "permissions"} <= set(session)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Authorization": "Bearer not.a.token"}, id="malformed"),
        pytest.param({"Authorization": "Bearer"}, id="empty"),
        pytest.param({"Authorization": "Basic YWRtaW46YWRtaW4="}, id="basic"),
        pytest.param({"Authorization": f"Bearer {UNKNOWN_KEY}"}, id="unknown-key"),
        pytest.param({"x-api-key": UNKNOWN_KEY}, id="unknown-x-api-key"),
        pytest.param(
            {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IngiLCJleHAiOjF9.c2ln"}, id="foreign-session"
        ),
    ],
)
def test_without_a_valid_token_there_is_nothing(house: House, headers: Mapping[str, str]) -> None:
    answer = models(house, headers=headers)
    assert detail(answer, 401)
    assert "www-authenticate" not in answer.headers


OLLAMA = [("GET", path) for path in ("tags", "version", "ps")]
OLLAMA += [("POST", path) for path in ("generate", "chat", "embed", "embeddings", "show")]


@pytest.mark.parametrize(("method", "path"), OLLAMA)
def test_the_ollama_routes_need_the_token_too(house: House, method: str, path: str) -> None:
    detail(house.nobody.request(method, f"/ollama/api/{path}"), 401)


def test_who_has_signed_up_waits_for_an_administrator(narrow: House) -> None:
    assert narrow.admin
    body = {"name": "Chloé", "email": "chloe@example.org", "password": PASSWORD}
    signed_up = good(narrow.nobody.post("/api/v1/auths/signup", json=body))
    narrow.nobody.cookies.clear()
    assert signed_up["role"] == "pending"
    client = narrow.client(signed_up["token"])
    detail(client.get("/api/models"), 403)
    detail(client.post("/api/v1/files/", files={"file": ("a.txt", b"a")}), 403)
    detail(client.post("/api/chat/completions", json={"model": "stub-echo", "messages": []}), 403)


ADMIN_ONLY = [
    ("POST", "/api/v1/auths/add", {"name": "n", "email": "n@example.org", "password": PASSWORD, "role": "user"}),
    ("GET", "/api/v1/users/", None),
    ("DELETE", "/api/v1/files/all", None),
    ("GET", "/api/v1/retrieval/config", None),
    ("GET", "/api/v1/retrieval/embedding", None),
    ("GET", "/api/v1/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ONLY, ids=lambda value: str(value)[:30])
def test_what_is_for_administrators_is_forbidden_to_others(house: House, method: str, path: str, body: Any) -> None:
    detail(house.user.client.request(method, path, json=body), 403)


def test_a_collection_without_rights_does_not_exist(house: House) -> None:
    for method, path in [("GET", ""), ("POST", "/reset"), ("DELETE", "/delete"), ("GET", "/files")]:
        detail(house.user.client.request(method, f"/api/v1/knowledge/{house.pumps}{path}"), 404)


def test_what_is_shared_to_read_cannot_be_changed(house: House) -> None:
    file_id = house.upload()
    made = house.collection(file_id)
    house.share(made, house.user.id)
    client = house.user.client
    opened = good(client.get(f"/api/v1/knowledge/{made}"))
    assert (opened["id"], opened["write_access"]) == (made, False)
    assert good(client.get(f"/api/v1/knowledge/{made}/files"))["total"] == 1
    update = {"name": "mine", "description": ""}
    detail(client.post(f"/api/v1/knowledge/{made}/update", json=update), 403)
    detail(client.post(f"/api/v1/knowledge/{made}/file/remove", json={"file_id": file_id}), 403)
    detail(client.post(f"/api/v1/knowledge/{made}/reset"), 403)
    detail(client.delete(f"/api/v1/knowledge/{made}/delete"), 403)
    detail(client.delete(f"/api/v1/files/{file_id}"), 403)
    detail(house.other.client.get(f"/api/v1/knowledge/{made}"), 404)


def test_a_file_of_another_user_is_hidden_but_not_from_the_administrator(house: House) -> None:
    theirs = house.upload(who=house.user)
    unknown = house.other.client.get("/api/v1/files/00000000-0000-4000-8000-000000000000")
    hidden = house.other.client.get(f"/api/v1/files/{theirs}")
    assert detail(hidden, 404).replace(theirs, "") == detail(unknown, 404).replace(unknown.url.path[-36:], "")
    assert good(house.admin.client.get(f"/api/v1/files/{theirs}"))["id"] == theirs


def test_signing_out_ends_the_session(house: House) -> None:
    body = {"email": house.admin.email, "password": PASSWORD}
    session = good(house.nobody.post("/api/v1/auths/signin", json=body))
    house.nobody.cookies.clear()
    client = house.client(session["token"])
    good(client.get("/api/models"))
    answer = client.post("/api/v1/auths/signout")
    assert good(answer) == {"status": True}
    assert 'token="' in answer.headers["set-cookie"]
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    detail(house.client(session["token"]).get("/api/models"), 401)
    good(house.client(house.admin.jwt).get("/api/models"))


def test_without_sign_in_everybody_is_the_administrator(unlocked: House) -> None:
    good(unlocked.nobody.get("/api/models"))
    good(unlocked.nobody.get("/ollama/api/tags"))
    signed_in = good(unlocked.nobody.post("/api/v1/auths/signin", json={"email": "", "password": ""}))
    assert signed_in["role"] == "admin"
    good(unlocked.client(signed_in["token"]).get("/api/models"))


def test_a_command_line_without_a_token_and_a_content_type_works_unlocked(unlocked: House) -> None:
    """As `curl -d` sends it."""
    body = b'{"model": "llama3.2", "prompt": "Pourquoi le ciel est-il bleu ?", "stream": false}'
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = good(unlocked.nobody.post("/ollama/api/generate", content=body, headers=form))
    assert answer["response"] == "ECHO Pourquoi le ciel est-il bleu ?"
