"""Collections over HTTP: made, shared, exported, and what they show of themselves."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from ragline.pipelines.names import Places
from tests.api.desk import Desk, Person
from tests.api.shelves import put, share

ABSENT = "00000000-0000-4000-8000-000000000000"


async def made(who: Person, **more: Any) -> Any:
    body = {"name": "Pompes d'été", "description": "Manuels"} | more
    answer = await who.client.post("/api/v1/knowledge/create", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def grant(user_id: str, permission: str = "read") -> dict[str, str]:
    return {"principal_type": "user", "principal_id": user_id, "permission": permission}


async def test_a_collection_is_its_makers_alone_unless_it_is_shared(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    private = await made(ada)
    assert (private["access_grants"], private["files"], private["user_id"]) == ([], None, ada.user.id)
    shared = await made(ada, access_grants=[grant(bob.user.id, "write")])
    [shown] = shared["access_grants"]
    assert shown == {
        "id": shown["id"],
        "resource_type": "knowledge",
        "resource_id": shared["id"],
        "principal_type": "user",
        "principal_id": bob.user.id,
        "permission": "write",
        "created_at": shown["created_at"],
    }
    listed = (await bob.client.get("/api/v1/knowledge/")).json()
    assert [(each["id"], each["write_access"], each["user"]["name"]) for each in listed["items"]] == [
        (shared["id"], True, "ada")
    ]


async def test_a_batch_of_files_is_found_in_its_collection_right_after_the_answer(desk: Desk) -> None:
    texts = ["The Zephyr pump has a warranty.", "The Mistral pump has no warranty."]
    ids = [await desk.upload(desk.admin, f"{n}.txt", text) for n, text in enumerate(texts)]
    shelf = (await made(desk.admin))["id"]
    path = f"/api/v1/knowledge/{shelf}/files/batch/add"
    answer = await desk.admin.client.post(path, json=[{"file_id": file_id} for file_id in ids])
    assert answer.status_code == 200
    found = await desk.admin.client.post(
        "/api/v1/retrieval/query/doc", json={"collection_name": shelf, "query": "warranty"}
    )
    assert sorted(found.json()["documents"][0]) == sorted(texts)


async def test_rights_are_replaced_as_a_whole_and_shown_to_whom_they_concern(desk: Desk) -> None:
    ada, bob, eve = [await desk.person(name) for name in ("ada", "bob", "eve")]
    shelf = (await made(ada))["id"]
    both = [grant(bob.user.id, "write"), grant(bob.user.id, "read"), grant(ada.user.id), grant("*")]
    answer = await ada.client.post(f"/api/v1/knowledge/{shelf}/access/update", json={"access_grants": both})
    assert answer.json()["files"] == []

    async def seen(who: Person) -> tuple[set[tuple[str, str]], bool]:
        known = (await who.client.get(f"/api/v1/knowledge/{shelf}")).json()
        rights = {(each["principal_id"], each["permission"]) for each in known["access_grants"]}
        return rights, known["write_access"]

    everything = {(bob.user.id, "write"), ("*", "read")}
    assert await seen(ada) == await seen(desk.admin) == await seen(bob) == (everything, True)
    assert await seen(eve) == ({("*", "read")}, False)
    await share(ada, shelf, **{eve.user.id: "read"})
    assert (await bob.client.get(f"/api/v1/knowledge/{shelf}")).status_code == 404
    assert await seen(eve) == ({(eve.user.id, "read")}, False)
    renamed = await ada.client.post(f"/api/v1/knowledge/{shelf}/update", json={"name": "n", "description": "d"})
    assert [each["principal_id"] for each in renamed.json()["access_grants"]] == [eve.user.id]
    await ada.client.post(
        f"/api/v1/knowledge/{shelf}/update", json={"name": "n", "description": "d", "access_grants": []}
    )
    assert await seen(ada) == (set(), True)


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        pytest.param(grant(ABSENT), 400, f"no user '{ABSENT}'", id="no-user"),
        pytest.param(grant("g") | {"principal_type": "group"}, 400, "no groups", id="group"),
        pytest.param(grant("*", "own"), 422, "", id="no-permission"),
        pytest.param(grant("a\0"), 422, "", id="nul"),
        pytest.param({"permission": "read"}, 422, "", id="nobody"),
    ],
)
async def test_a_wrong_right_changes_nothing(desk: Desk, given: object, status: int, said: str) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    shelf = (await made(ada, access_grants=[grant(bob.user.id)]))["id"]
    wrong = [grant("*"), given]
    answer = await ada.client.post(f"/api/v1/knowledge/{shelf}/access/update", json={"access_grants": wrong})
    assert (answer.status_code, said in json.dumps(answer.json()["detail"])) == (status, True)
    body = {"name": "n", "description": "d", "access_grants": wrong}
    assert (await ada.client.post("/api/v1/knowledge/create", json=body)).status_code == status
    assert (await ada.client.get("/api/v1/knowledge/")).json()["total"] == 1
    assert (await bob.client.get(f"/api/v1/knowledge/{shelf}")).status_code == 200


async def test_an_event_says_who_was_given_which_right(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    shelf = (await made(ada))["id"]
    await share(ada, shelf, **{bob.user.id: "read"})
    events = desk.api.state.events
    [noted] = [one for one in events._waiting if one.path.endswith("/access/update")]
    assert (noted.user_id, noted.details) == (
        ada.user.id,
        {"collection_id": shelf, "grants": {bob.user.id: "read"}},
    )


async def test_an_export_has_the_files_in_their_directories(desk: Desk) -> None:
    shelf = (await made(desk.admin))["id"]
    path = f"/api/v1/knowledge/{shelf}"
    top = (await desk.admin.client.post(f"{path}/dirs/create", json={"name": "été"})).json()["id"]
    below = (await desk.admin.client.post(f"{path}/dirs/create", json={"name": "a:b", "parent_id": top})).json()["id"]
    await desk.admin.client.post(f"{path}/dirs/create", json={"name": "vide"})
    for name, text, directory in (
        ("note.txt", "un", ""),
        ("NOTE.txt", "deux", ""),
        ("note.txt", "trois", ""),
        ("note.txt", "quatre", top),
        ("com1.txt", "cinq", below),
        ("perdu.txt", "six", ""),
    ):
        metadata = {"knowledge_id": shelf} | ({"directory_id": directory} if directory else {})
        sent = await put(desk.admin, name, text, metadata=metadata, query="?process=false")
        if text == "six":
            await desk.app.blobs.delete(sent.json()["path"])
    answer = await desk.admin.client.get(f"{path}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"].endswith("Pompes%20d%27%C3%A9t%C3%A9.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    at_top = {name: texts.pop(name) for name in ("note.txt", "NOTE (2).txt", "note (3).txt") if name in texts}
    numbered = {**at_top, **{name: texts.pop(name) for name in list(texts) if name.casefold().startswith("note")}}
    assert (len(numbered), set(numbered.values())) == (3, {"un", "deux", "trois"})
    assert len({name.casefold() for name in numbered}) == 3
    assert texts == {
        "été/": "",
        "été/a_b/": "",
        "vide/": "",
        "été/note.txt": "quatre",
        "été/a_b/_com1.txt": "cinq",
        "missing files.txt": "perdu.txt\n",
    }


async def test_an_export_of_nothing_is_an_empty_archive(desk: Desk) -> None:
    shelf = (await made(desk.admin, name="../.."))["id"]
    answer = await desk.admin.client.get(f"/api/v1/knowledge/{shelf}/export")
    assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == []
    assert "/" not in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        pytest.param(["a.txt", "A.TXT", "a.txt"], ["a.txt", "A (2).TXT", "a (3).txt"], id="case"),
        pytest.param(["a (2).txt", "a.txt", "a.txt"], ["a (2).txt", "a.txt", "a (3).txt"], id="number-taken"),
        pytest.param(["..", "a/b\\c", "x. . "], ["_", "a_b_c", "x"], id="no-way-out"),
        pytest.param(["nul.tar.gz", "aux", ".env"], ["_nul.tar.gz", "_aux", ".env"], id="devices"),
        pytest.param(["é" * 200 + ".txt"], ["é" * 118 + ".txt"], id="bytes"),
        pytest.param(["a\u202etxt.exe", "\0"], ["atxt.exe", "_"], id="unprintable"),
    ],
)
def test_paths_of_an_archive_are_safe_and_unique(names: list[str], paths: list[str]) -> None:
    places = Places()
    assert [places.take("", name) for name in names] == paths
    assert [places.take("d", name) for name in names] == [f"d/{path}" for path in paths]
