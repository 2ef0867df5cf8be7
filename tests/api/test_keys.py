"""API keys: several, named, with an end, limited to paths or collections; shown once."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.api.desk import Desk, Person

KEYS = "/api/v1/auths/api_keys"
PLAIN = "/api/v1/auths/api_key"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def make(who: Person, **body: Any) -> dict[str, Any]:
    answer = await who.client.post(KEYS, json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def status(client: httpx.AsyncClient, path: str) -> int:
    return (await client.get(path)).status_code


async def test_a_plain_key_is_made_shown_masked_and_deleted(desk: Desk) -> None:
    ada = await desk.person("ada")
    assert (await ada.client.get(PLAIN)).status_code == 404
    keys = [(await ada.client.post(PLAIN)).json()["api_key"] for _ in range(2)]
    assert all(len(key) == 35 and key.startswith("sk-") for key in keys)
    clients = [await desk.client(key) for key in keys]
    assert [await status(client, "/api/models") for client in clients] == [200, 200]
    masked = (await ada.client.get(PLAIN)).json()["api_key"]
    assert masked in {f"{key[:7]}…{key[-4:]}" for key in keys}
    assert (await ada.client.delete(PLAIN)).json() is True
    assert [await status(client, "/api/models") for client in clients] == [401, 401]
    assert (await ada.client.delete(PLAIN)).json() is True
    assert await status(ada.client, "/api/models") == 200


async def test_keys_have_names_and_are_revoked_one_by_one(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    first, second = await make(ada, name="été"), await make(ada, name="été")
    listed = (await ada.client.get(KEYS)).json()
    assert (listed["total"], sorted(each["name"] for each in listed["items"])) == (3, ["test", "été", "été"])
    assert not any(key["api_key"] in str(listed) for key in (first, second))
    assert await desk.app.records.keys.identify(first["api_key"]) is not None
    foreign = await bob.client.delete(f"{KEYS}/{first['id']}")
    absent = await bob.client.delete(f"{KEYS}/{UNKNOWN}")
    assert (foreign.status_code, foreign.text.replace(first["id"], UNKNOWN)) == (absent.status_code, absent.text)
    assert foreign.status_code == 404
    assert (await ada.client.delete(f"{KEYS}/{first['id']}")).json() is True
    assert [await status(await desk.client(key["api_key"]), "/api/models") for key in (first, second)] == [401, 200]
    assert (await ada.client.delete(f"{KEYS}/{first['id']}")).status_code == 404


async def test_a_key_ends_when_it_was_to(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await desk.person("ada")
    now = int(time.time())
    soon, later = await make(ada, expires_at=now + 1000), await make(ada, expires_in_days=1)
    assert soon["expires_at"] == now + 1000
    assert now + 86_400 <= later["expires_at"] <= now + 86_400 + 60
    clients = [await desk.client(key["api_key"]) for key in (soon, later)]
    assert [await status(client, "/api/models") for client in clients] == [200, 200]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2000)
    assert [await status(client, "/api/models") for client in clients] == [401, 200]


async def test_a_key_for_some_routes_calls_no_others(desk: Desk) -> None:
    ada = await desk.person("ada")
    key = await make(ada, name="lecture", routes=["/api/models/", "/api/v1/files"])
    assert key["routes"] == ["/api/models", "/api/v1/files"]
    client = await desk.client(key["api_key"])
    statuses = {path: await status(client, path) for path in ("/api/models", "/api/v1/files/", "/api/v1/knowledge/")}
    assert statuses == {"/api/models": 200, "/api/v1/files/": 200, "/api/v1/knowledge/": 403}
    assert await status(client, "/api/modelsome") == 403
    assert (await client.post(KEYS, json={})).status_code == 403


async def test_a_key_for_some_collections_sees_no_others(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    inside = await desk.upload(ada, "été.txt", "La pompe Zéphyr a une garantie de 27 mois.")
    outside = await desk.upload(ada, "hiver.txt", "Le chauffage est garanti 12 mois.")
    chosen, other = await desk.collection(ada, "à voir", inside), await desk.collection(ada, "privé", outside)
    key = await make(ada, collections=[chosen])
    client = await desk.client(key["api_key"])
    paths = [f"/api/v1/knowledge/{chosen}", f"/api/v1/knowledge/{other}"]
    paths += [f"/api/v1/files/{inside}", f"/api/v1/files/{outside}"]
    assert [await status(client, path) for path in paths] == [200, 404, 200, 404]
    hidden = await bob.client.post(KEYS, json={"collections": [chosen]})
    absent = await bob.client.post(KEYS, json={"collections": [UNKNOWN]})
    assert (hidden.status_code, hidden.text.replace(chosen, UNKNOWN)) == (404, absent.text)


@pytest.mark.parametrize("limit", ["routes", "collections"])
async def test_a_limited_key_neither_makes_nor_sees_keys(desk: Desk, limit: str) -> None:
    ada = await desk.person("ada")
    limits = {"routes": ["/api/v1/auths"], "collections": [await desk.collection(ada, "été")]}
    key = await make(ada, **{limit: limits[limit]})
    client = await desk.client(key["api_key"])
    calls = [("POST", PLAIN), ("GET", PLAIN), ("DELETE", PLAIN), ("POST", KEYS), ("GET", KEYS)]
    calls.append(("DELETE", f"{KEYS}/{key['id']}"))
    for method, path in calls:
        answer = await client.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, "limited" in answer.json()["detail"]) == (403, True), (method, path)
    assert (await ada.client.get(KEYS)).json()["total"] == 2


async def test_a_limit_that_is_misspelled_makes_no_key_without_it(desk: Desk) -> None:
    answer = await desk.admin.client.post(KEYS, json={"name": "site", "colections": [UNKNOWN]})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "colections"])


async def test_a_key_that_ends_makes_none_that_could_outlive_it(desk: Desk) -> None:
    key = await make(await desk.person("ada"), expires_in_days=1)
    client = await desk.client(key["api_key"])
    assert [(await client.post(path, json={})).status_code for path in (PLAIN, KEYS)] == [403, 403]
    assert await status(client, KEYS) == 200


async def test_who_is_not_admitted_has_no_keys(desk: Desk) -> None:
    ada = await desk.person("ada", "pending")
    for method, path in [("POST", PLAIN), ("GET", PLAIN), ("POST", KEYS), ("GET", KEYS)]:
        assert (await ada.client.request(method, path, json={})).status_code == 403


WRONG: dict[str, dict[str, Any]] = {
    "no slash": {"routes": ["api/models"]},
    "all": {"routes": ["/"]},
    "empty part": {"routes": ["/api//models"]},
    "query": {"routes": ["/api/models?refresh=true"]},
    "NUL in route": {"routes": ["/api/\x00"]},
    "no route": {"routes": []},
    "no collection": {"collections": []},
    "NUL in collection": {"collections": ["\x00"]},
    "no name": {"name": ""},
    "NUL in name": {"name": "\x00"},
    "past": {"expires_at": 1},
    "no days": {"expires_in_days": 0},
    "two ends": {"expires_in_days": 1, "expires_at": 4_000_000_000},
    "never": {"expires_at": 1 << 70},
}


async def test_a_key_that_cannot_be_is_422(desk: Desk) -> None:
    answers = {why: await desk.admin.client.post(KEYS, json=body) for why, body in WRONG.items()}
    assert {why: each.status_code for why, each in answers.items()} == dict.fromkeys(WRONG, 422)
    assert len(await desk.app.records.keys.of(desk.admin.user.id)) == 2


async def test_the_number_of_keys_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragline.api import keys

    monkeypatch.setattr(keys, "MOST_KEYS", 3)
    ada = await desk.person("ada")
    assert [(await ada.client.post(PLAIN)).status_code for _ in range(3)] == [200, 200, 409]
