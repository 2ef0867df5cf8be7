"""Table 1.2 of the contract: collections."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from .house import LIBRARY, UNKNOWN, ZEPHYR, House, detail, events_of, good, invalid

KNOWLEDGE = "/api/v1/knowledge"
COLLECTION = {"id", "user_id", "name", "description", "meta", "access_grants", "created_at", "updated_at"}
MEMBER = {"id", "hash", "meta", "created_at", "updated_at"}


def test_a_collection_is_made(house: House) -> None:
    body = good(house.user.client.post(f"{KNOWLEDGE}/create", json={"name": "Été", "description": ""}))
    assert COLLECTION | {"files"} <= set(body)
    assert (body["name"], body["access_grants"], body["files"]) == ("Été", [], None)
    again = good(house.user.client.post(f"{KNOWLEDGE}/create", json={"name": "Été", "description": ""}))
    assert again["id"] != body["id"]
    assert good(house.user.client.post(f"{KNOWLEDGE}/create", json={"name": "", "description": ""}))["name"] == ""
    for bad in ({"name": "x"}, {"description": "x"}, {}):
        invalid(house.user.client.post(f"{KNOWLEDGE}/create", json=bad))


def test_collections_are_listed_30_a_page_and_searched(house: House) -> None:
    person = house.new_user("Inès")
    made = [house.collection(who=person, name=f"Dossier n° {number}") for number in range(31)]
    first, second = (good(person.client.get(f"{KNOWLEDGE}/", params={"page": page})) for page in (1, 2))
    assert (len(first["items"]), first["total"]) == (30, 30 + len(second["items"]))
    assert COLLECTION | {"user", "file_count", "write_access"} <= set(first["items"][0])
    shared = {each["id"] for each in first["items"] + second["items"] if each["user_id"] != person.id}
    assert {each["id"] for each in first["items"] + second["items"]} == {*made, *shared}
    assert {"id", "name", "role", "email"} <= set(first["items"][0]["user"])
    found = good(person.client.get(f"{KNOWLEDGE}/search", params={"query": "n° 30"}))
    assert [each["id"] for each in found["items"]] == [made[30]]
    assert good(house.other.client.get(f"{KNOWLEDGE}/search", params={"query": "Dossier n°"}))["items"] == []
    detail(person.client.get(f"{KNOWLEDGE}/list"), 404)


def test_a_collection(house: House) -> None:
    body = good(house.admin.client.get(f"{KNOWLEDGE}/{house.pumps}"))
    assert COLLECTION | {"write_access", "files"} <= set(body)
    assert (body["write_access"], body["files"]) == (True, None)


BY_ID: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("GET", "/files", None),
    ("GET", "/files/pending", None),
    ("POST", "/file/add", {"file_id": UNKNOWN}),
    ("POST", "/files/batch/add", [{"file_id": UNKNOWN}]),
    ("POST", "/file/update", {"file_id": UNKNOWN}),
    ("POST", "/file/remove", {"file_id": UNKNOWN}),
    ("POST", "/update", {"name": "x", "description": "x"}),
    ("POST", "/reset", None),
    ("POST", "/access/update", {"access_grants": []}),
    ("DELETE", "/delete", None),
    ("GET", "/export", None),
    ("POST", "/sync/diff", {"manifest": []}),
]


@pytest.mark.parametrize(("method", "path", "body"), BY_ID)
def test_an_unknown_collection_is_404(house: House, method: str, path: str, body: Any) -> None:
    assert UNKNOWN in detail(house.user.client.request(method, f"{KNOWLEDGE}/{UNKNOWN}{path}", json=body), 404)


def test_the_files_of_a_collection_and_their_directories(house: House) -> None:
    made = house.collection(house.zephyr)
    directory = house.directory(made, "été")
    placed = house.upload(knowledge_id=made, directory_id=directory)
    body = good(house.admin.client.get(f"{KNOWLEDGE}/{made}/files"))
    assert {"items", "directories", "breadcrumbs", "total"} <= set(body)
    assert (body["total"], body["breadcrumbs"]) == (2, [])
    assert [each["name"] for each in body["directories"]] == ["été"]
    places = {each["id"]: (each["directory_id"], each["directory_path"]) for each in body["items"]}
    assert places == {house.zephyr: (None, ""), placed: (directory, "été")}
    assert all({"user", "has_original", "filename", "data"} <= set(each) for each in body["items"])
    name = good(house.admin.client.get(f"/api/v1/files/{placed}"))["filename"]
    found = good(house.admin.client.get(f"{KNOWLEDGE}/{made}/files", params={"query": name}))
    assert [each["id"] for each in found["items"]] == [placed]


def test_pending_files_are_listed_and_streamed(house: House) -> None:
    made = house.collection(house.zephyr)
    assert good(house.admin.client.get(f"{KNOWLEDGE}/{made}/files/pending")) == []
    assert events_of(house.admin.client.get(f"{KNOWLEDGE}/{made}/files/pending?stream=true"))[-1] == []


def test_adding_files(house: House) -> None:
    client, made = house.admin.client, house.collection()
    for _ in range(2):  # the same file again is no error
        body = good(client.post(f"{KNOWLEDGE}/{made}/file/add", json={"file_id": house.zephyr}))
        assert COLLECTION | {"write_access"} <= set(body)
        assert [each["id"] for each in body["files"]] == [house.zephyr]
        assert all(set(each) >= MEMBER for each in body["files"])
    assert UNKNOWN in detail(client.post(f"{KNOWLEDGE}/{made}/file/add", json={"file_id": UNKNOWN}), 404)
    invalid(client.post(f"{KNOWLEDGE}/{made}/file/add", json={}))


def test_adding_many_files_is_all_or_nothing(house: House) -> None:
    client, made, another = house.admin.client, house.collection(), house.upload()
    path = f"{KNOWLEDGE}/{made}/files/batch/add"
    assert UNKNOWN in detail(client.post(path, json=[{"file_id": another}, {"file_id": UNKNOWN}]), 404)
    assert good(client.get(f"{KNOWLEDGE}/{made}/files"))["total"] == 0
    body = good(client.post(path, json=[{"file_id": another}, {"file_id": house.zephyr}]))
    assert {each["id"] for each in body["files"]} == {another, house.zephyr}
    invalid(client.post(path, json={"file_id": another}))


def test_a_file_that_is_still_processed_can_be_added(house: House) -> None:
    text = "The warranty of the Sirocco pump is 13 months.\n" * 20
    sent = {"file": ("sirocco.txt", text.encode(), "text/plain")}
    file_id = good(house.admin.client.post("/api/v1/files/", files=sent))["id"]
    made = house.collection(file_id)
    [source] = good(house.chat(files=[{"type": "collection", "id": made}]))["sources"]
    assert "13 months" in source["document"][0]


def test_the_same_bytes_are_members_twice(house: House) -> None:
    sent = {"file": ("jumeau.txt", b"Le jumeau de la pompe.", "text/plain")}
    twins = [good(house.admin.client.post("/api/v1/files/", files=sent))["id"] for _ in range(2)]
    made = house.collection(*twins)
    assert good(house.admin.client.get(f"{KNOWLEDGE}/{made}/files"))["total"] == 2


@pytest.mark.parametrize(("query", "stays"), [("", False), ("?delete_file=true", False), ("?delete_file=false", True)])
def test_taking_a_file_out_deletes_it_unless_told_otherwise(house: House, query: str, stays: bool) -> None:
    file_id = house.upload()
    made = house.collection(file_id, house.zephyr)
    path = f"{KNOWLEDGE}/{made}/file/remove{query}"
    body = good(house.admin.client.post(path, json={"file_id": file_id}))
    assert [each["id"] for each in body["files"]] == [house.zephyr]
    assert (house.admin.client.get(f"/api/v1/files/{file_id}").status_code == 200) is stays
    detail(house.admin.client.post(path, json={"file_id": file_id}), 404)


def test_updating_and_resetting(house: House) -> None:
    client, file_id = house.admin.client, house.upload()
    made = house.collection(file_id)
    body = good(client.post(f"{KNOWLEDGE}/{made}/file/update", json={"file_id": file_id}))
    assert [each["id"] for each in body["files"]] == [file_id]
    renamed = good(client.post(f"{KNOWLEDGE}/{made}/update", json={"name": "Hiver", "description": "neuf"}))
    assert (renamed["name"], renamed["description"]) == ("Hiver", "neuf")
    assert [each["id"] for each in renamed["files"]] == [file_id]
    assert set(good(client.post(f"{KNOWLEDGE}/{made}/reset"))) >= COLLECTION
    assert good(client.get(f"{KNOWLEDGE}/{made}/files"))["total"] == 0
    assert good(client.delete(f"{KNOWLEDGE}/{made}/delete")) is True
    detail(client.get(f"{KNOWLEDGE}/{made}"), 404)


def test_sharing_shows_the_grants(house: House) -> None:
    made = house.collection()
    body = house.share(made, "*")
    [grant] = body["access_grants"]
    assert {"id", "resource_type", "resource_id", "created_at"} <= set(grant)
    assert (grant["principal_type"], grant["principal_id"], grant["permission"]) == ("user", "*", "read")
    assert (grant["resource_type"], grant["resource_id"]) == ("knowledge", made)
    assert good(house.user.client.get(f"{KNOWLEDGE}/{made}"))["write_access"] is False
    house.share(made, house.user.id, "write")
    assert good(house.user.client.get(f"{KNOWLEDGE}/{made}"))["write_access"] is True
    detail(house.other.client.get(f"{KNOWLEDGE}/{made}"), 404)


def test_a_collection_is_exported_as_a_zip(house: House) -> None:
    answer = house.admin.client.get(f"{KNOWLEDGE}/{house.pumps}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        texts = "".join(archive.read(name).decode() for name in names if name.endswith((".txt", ".md")))
    assert ZEPHYR in texts
    assert LIBRARY in texts
    detail(house.user.client.get(f"{KNOWLEDGE}/{house.pumps}/export"), 403, 404)


def test_a_manifest_is_compared(house: House) -> None:
    file_id = house.upload()
    made = house.collection(file_id)
    entry = {"filename": "neuf.txt", "path": "été", "checksum": "0" * 64, "size": 3}
    body = good(house.admin.client.post(f"{KNOWLEDGE}/{made}/sync/diff", json={"manifest": [entry]}))
    assert {"added", "modified", "deleted", "mkdir", "rmdir", "unmodified_count", "directory_map"} <= set(body)
    assert [each["filename"] for each in body["added"]] == ["neuf.txt"]
    assert [each["file_id"] for each in body["deleted"]] == [file_id]
    assert body["mkdir"] == ["été"]
    assert house.admin.client.post(f"{KNOWLEDGE}/{made}/sync/diff", json={}).status_code == 422
