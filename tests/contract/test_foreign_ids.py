"""Two users, every route, every kind of id: what is another's looks in every way like what does not exist.

The routes and their bodies are read from the description of the API. Each place of a request where a text can stand
gets an id of another user and one that nobody has; both answers have to be the same but for the id. A request with the
caller's own ids has to succeed, so that the refusals are known to come from the ids and from nothing else.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .drafts import Draft, Maker, Spot
from .foreign import (
    ID_LIKE,
    LOSING,
    MARKERS,
    NAME,
    NO_IDS,
    NOT_CONTROLLED,
    OWN_BODIES,
    PROSE,
    TOLD,
    Foreign,
    Pair,
)
from .house import House, Person, detail, good


def snapshot(owner: Person, file_id: str, collection_id: str) -> dict[str, Any]:
    client = owner.client
    return {
        "file": good(client.get(f"/api/v1/files/{file_id}")),
        "members": good(client.get(f"/api/v1/knowledge/{collection_id}/files")),
        "collection": good(client.get(f"/api/v1/knowledge/{collection_id}")),
        "directories": good(client.get(f"/api/v1/knowledge/{collection_id}/dirs")),
        "keys": [key["id"] for key in good(client.get("/api/v1/auths/api_keys"))["items"]],
    }


@pytest.fixture(scope="module")
def pair(house: House) -> Pair:
    """Two users; the first has one of everything."""
    owner, caller = house.new_user(f"Propriétaire {MARKERS[2]}"), house.new_user("Curieuse")
    client = owner.client
    made = good(client.post("/api/v1/knowledge/create", json={"name": MARKERS[1], "description": MARKERS[2]}))["id"]
    directory = house.directory(made, f"dossier {MARKERS[1]}", who=owner)
    file_id = house.upload(
        f"The {MARKERS[0]} has feathers.\n", name=f"{MARKERS[1]}-{{n}}.txt", who=owner,
        knowledge_id=made, directory_id=directory, note=MARKERS[2],
    )  # fmt: skip
    key = good(client.post("/api/v1/auths/api_keys", json={"name": f"clé {MARKERS[1]}"}))
    batch = good(client.post(f"/v1/vector_stores/{made}/file_batches", json={"file_ids": [file_id]}))["id"]
    question = {"query": MARKERS[0], "collection_name": made}
    passage = good(client.post("/api/v1/retrieval/query/doc", json=question))["ids"][0][0]
    sha256 = good(client.get(f"/api/v1/files/{file_id}"))["meta"]["file_hash"]
    text = {"name": f"note {MARKERS[1]}", "content": f"{MARKERS[0]}, encore.", "collection_name": "txt-0a1b2c3d"}
    named = good(client.post("/api/v1/retrieval/process/text", json=text))["collection_name"]
    ids = {
        "file": file_id, "collection": made, "directory": directory, "user": owner.id, "key": key["id"],
        "passage": passage,
    }  # fmt: skip
    unknown = str(uuid.uuid4())
    foreign = [Foreign(kind, id, unknown) for kind, id in ids.items()]
    foreign += [
        Foreign("collection of a file", f"file-{file_id}", f"file-{unknown}"),
        Foreign("collection of a text", named, "txt-d4c3b2a1"),
        Foreign(NAME, house.upload(f"The {MARKERS[0]} again.\n", who=owner), str(uuid.uuid4())),
        Foreign("batch", batch, f"vsfb_{uuid.uuid4().hex}"),
        Foreign("bytes", sha256, uuid.uuid4().hex * 2),
        Foreign("e-mail", owner.email, owner.email.replace("user", "lady")),
    ]
    return Pair(owner, caller, foreign, {"ids": (file_id, made)} | snapshot(owner, file_id, made))


def own_ids(house: House, caller: Person) -> dict[str, str]:
    """Make one of everything for the caller, and return the ids by the names that routes give them."""
    for each in good(caller.client.get("/api/v1/auths/api_keys"))["items"]:
        if each["name"] != "API key":  # the caller's own; of the others an account has 100 at most
            good(caller.client.delete(f"/api/v1/auths/api_keys/{each['id']}"))
    made = house.collection(who=caller)
    directory = house.directory(made, who=caller)
    file_id = house.upload("Rien de secret. ", who=caller, knowledge_id=made, directory_id=directory)
    key = good(caller.client.post("/api/v1/auths/api_keys", json={"name": "à moi"}))["id"]
    batch = good(caller.client.post(f"/v1/vector_stores/{made}/file_batches", json={"file_ids": [file_id]}))["id"]
    collection = dict.fromkeys(("collection_id", "knowledge_id", "vector_store_id", "collection_name"), made)
    return collection | {
        "file_id": file_id, "directory_id": directory, "dir_id": directory, "parent_id": directory,
        "user_id": caller.id, "id": caller.id, "key_id": key, "batch_id": batch, "model_id": "stub-echo", "index": "0",
        "previous_response_id": "", "chunk": "0",
    }  # fmt: skip


def send(caller: Person, draft: Draft) -> httpx.Response:
    body = {} if draft.body is None else {"json": draft.body}
    return caller.client.request(draft.method, draft.url, params=draft.query, **body)


VARIABLE = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b(?:chatcmpl|msg|resp|fs|vsfb|sk)[-_][\w…-]+|\b\d{10}\b"
    r"|-?\d+\.\d+(?:e-?\d+)?|nearest: [^\"]*|no passage '[^']*'"
)
"""Ids, times and figures that are new in every answer, and models whose names are near to an id."""


def shown(answer: httpx.Response, id: str) -> tuple[int, str, str]:
    """Return what a client sees, without the id that it asked for and what is never twice the same."""
    text = answer.text.replace(id, "<id>").replace(json.dumps(id)[1:-1], "<id>")
    return answer.status_code, answer.headers.get("content-type", ""), VARIABLE.sub("<new>", text)


def operations(house: House) -> dict[str, tuple[str, str, Any]]:
    """Return path, method and description of all by name, those first that change nothing: others give names away."""
    maker = Maker(good(house.nobody.get("/openapi.json")), {})
    found = {f"{method.upper()} {path}": (path, method, operation) for path, method, operation in maker.operations()}
    return dict(sorted(found.items(), key=lambda item: item[1][1] != "get"))


def attempts(spots: list[Spot], foreign: list[Foreign]) -> Iterator[tuple[Spot, Foreign]]:
    for spot in spots:
        named = [step for step in spot.place if isinstance(step, str)][-1]
        if named in PROSE:
            continue
        like = spot.place[0] == "values" or ID_LIKE.search(named) is not None
        yield from ((spot, each) for each in foreign if (each.kind == NAME) is not like)


@pytest.mark.timeout(300)
def test_what_is_anothers_looks_like_what_does_not_exist(house: House, pair: Pair) -> None:
    schema = good(house.nobody.get("/openapi.json"))
    problems: list[str] = []
    own: dict[str, str] = {}
    for name, (path, method, operation) in operations(house).items():
        if name in NO_IDS:
            continue
        own = own or own_ids(house, pair.caller)
        maker = Maker(schema, own)
        draft = maker.draft(path, method, operation)
        if name in OWN_BODIES:
            draft.body = OWN_BODIES[name](own)
        spots = maker.spots(operation)
        if not spots and method != "get":
            problems.append(f"{name}: no place for an id was found: cover it, or give the reason in NO_IDS")
        problems += differences(pair, draft, spots)
        answer = send(pair.caller, draft)
        problems += [f"{name}: shows {marker}" for marker in MARKERS if marker in answer.text]
        if LOSING.search(name):
            own = {}
        if answer.status_code not in (200, 403, 409) and name not in NOT_CONTROLLED:
            problems.append(f"{name}: not covered, with own ids it is {answer.status_code}: {answer.text[:200]}")
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
    file_id, collection_id = pair.theirs["ids"]
    after = snapshot(pair.owner, file_id, collection_id)
    assert {key: pair.theirs[key] for key in after} == after, "something of the owner's was changed"


def differences(pair: Pair, draft: Draft, spots: list[Spot]) -> Iterator[str]:
    """Yield where an answer tells that an id is somebody's."""
    answers: dict[tuple[str, str], tuple[int, str, str]] = {}
    for spot, foreign in attempts(spots, pair.foreign):
        for id in (foreign.id, foreign.unknown):
            if (key := (repr(spot), id)) not in answers:
                answers[key] = shown(send(pair.caller, draft.with_value(spot, id)), id)
        got, expected = answers[repr(spot), foreign.id], answers[repr(spot), foreign.unknown]
        where = f"{draft.name} {spot} = {foreign.kind}"
        if got != expected and not any(re.search(told, where) for told in TOLD):
            yield f"{where}: {got[0]} {got[2][:200]} | unknown: {expected[0]} {expected[2][:200]}"
        yield from (f"{where}: shows {marker}" for marker in MARKERS if marker in got[2])


@pytest.mark.parametrize("key", ["knowledge_id", "directory_id"])
def test_an_upload_into_what_is_anothers(house: House, pair: Pair, key: str) -> None:
    kind = {"knowledge_id": "collection", "directory_id": "directory"}[key]
    [foreign] = [each for each in pair.foreign if each.kind == kind]
    own = own_ids(house, pair.caller)
    seen = []
    for id in (foreign.id, foreign.unknown):
        metadata = {"knowledge_id": own["knowledge_id"]} | {key: id}
        answer = pair.caller.client.post(
            "/api/v1/files/", files={"file": ("a.txt", b"a b c")}, data={"metadata": json.dumps(metadata)}
        )
        detail(answer, 404)
        seen.append(shown(answer, id))
    assert seen[0] == seen[1]


def test_the_exceptions_are_routes(house: House) -> None:
    assert {
        *OWN_BODIES,
        *NO_IDS,
        *NOT_CONTROLLED,
    } <= set(operations(house))
