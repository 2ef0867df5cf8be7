"""Table 1.2 of the contract: files."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from reportlab.pdfgen.canvas import Canvas

from .house import UNKNOWN, ZEPHYR, House, detail, events_of, good, invalid

FILES = "/api/v1/files"
FILE = {"id", "user_id", "hash", "filename", "data", "meta", "created_at", "updated_at"}
META = {"name", "content_type", "size", "file_hash", "data"}


def send(house: House, name: str, content: bytes, kind: str = "text/plain", **more: Any) -> httpx.Response:
    """Upload as the plain user; `more` goes with the request."""
    return house.user.client.post(f"{FILES}/", files={"file": (name, content, kind)}, **more)


def test_an_upload_is_answered_at_once(house: House) -> None:
    sent = {"metadata": json.dumps({"note": "été"})}
    body = good(send(house, "Zéphyr.txt", b"La pompe.", data=sent))
    assert FILE | {"status", "path"} <= set(body)
    assert set(body["meta"]) >= META
    assert (body["hash"], body["data"]["status"], body["status"]) == (None, "pending", True)
    assert (body["filename"], body["meta"]["name"], body["meta"]["size"]) == ("Zéphyr.txt", "Zéphyr.txt", 9)
    assert body["meta"]["content_type"] == "text/plain"
    assert body["meta"]["data"]["note"] == "été"
    assert body["user_id"] == house.user.id


@pytest.mark.parametrize("path", [FILES, f"{FILES}/"])
def test_an_upload_needs_no_final_slash(house: House, path: str) -> None:
    assert good(house.user.client.post(path, files={"file": ("a.txt", b"a b c")}))["id"]


def test_an_upload_can_be_awaited_or_left_unprocessed(house: House) -> None:
    waited = good(send(house, "a.txt", b"Attendu.", params={"process_in_background": "false"}))
    assert waited["data"]["status"] == "completed"
    left = good(send(house, "b.txt", b"Pas encore.", params={"process": "false"}))
    assert left["data"].get("status") in (None, "pending", "stored")
    status = good(house.user.client.get(f"{FILES}/{left['id']}/process/status"))["status"]
    assert status not in ("processing", "completed")


REFUSED = [
    pytest.param({"file": ("empty.txt", b"")}, {}, 400, id="empty"),
    pytest.param({"file": ("a.txt", b"a")}, {"metadata": "{"}, 400, id="metadata-no-json"),
    pytest.param({"file": ("a.txt", b"a")}, {"metadata": "[1]"}, 400, id="metadata-no-object"),
    pytest.param([("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))], {}, 400, id="two-files"),
]


@pytest.mark.parametrize(("files", "form", "status"), REFUSED)
def test_what_cannot_be_uploaded(house: House, files: Any, form: dict[str, str], status: int) -> None:
    detail(house.user.client.post(f"{FILES}/", files=files, data=form), status)


def test_an_upload_without_a_file_is_422(house: House) -> None:
    invalid(house.user.client.post(f"{FILES}/", data={"metadata": "{}"}))


def test_an_upload_that_is_too_large_is_413(narrow: House) -> None:
    big = {"file": ("big.txt", b"a" * (3 << 20), "text/plain")}
    assert "server.max_upload_bytes" in detail(narrow.admin.client.post(f"{FILES}/", files=big), 413)
    just = {"file": ("just-too-big.txt", b"a" * ((1 << 20) + 1), "text/plain")}
    detail(narrow.admin.client.post(f"{FILES}/", files=just), 413)


def test_a_file(house: House) -> None:
    made = house.upload(who=house.user)
    body = good(house.user.client.get(f"{FILES}/{made}"))
    assert FILE | {"path"} <= set(body)
    assert body["hash"]
    assert (body["data"]["status"], body["data"]["error"]) == ("completed", None)
    assert body["data"]["content"].startswith(ZEPHYR[:40])
    assert body["meta"]["collection_name"] == f"file-{made}"


BY_ID = [
    ("GET", "", None),
    ("GET", "/process/status", None),
    ("GET", "/process/status?stream=true", None),
    ("GET", "/content", None),
    ("GET", "/content/html", None),
    ("GET", "/content/a.txt", None),
    ("GET", "/data/content", None),
    ("POST", "/data/content/update", {"content": "x"}),
    ("POST", "/rename", {"filename": "x.txt"}),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(("method", "path", "body"), BY_ID)
def test_an_unknown_file_is_404(house: House, method: str, path: str, body: Any) -> None:
    assert UNKNOWN in detail(house.user.client.request(method, f"{FILES}/{UNKNOWN}{path}", json=body), 404)


def test_the_status_is_a_word_and_more(house: House) -> None:
    body = good(house.admin.client.get(f"{FILES}/{house.zephyr}/process/status"))
    assert {"error", "progress", "stage", "flow_run_id"} <= set(body)
    assert (body["status"], body["progress"]) == ("completed", 1)


def test_the_status_as_a_stream_ends_with_the_processing(house: House) -> None:
    made = good(send(house, "long.txt", ZEPHYR.encode() * 20))["id"]
    answer = house.user.client.get(f"{FILES}/{made}/process/status?stream=true")
    states = [event["status"] for event in events_of(answer)]
    order = ["pending", "processing", "completed"]
    assert states == sorted(states, key=order.index)
    assert states[-1] == "completed"


def test_files_are_listed_50_a_page(house: House) -> None:
    person = house.new_user("Noémie")
    made = [good(person.client.post(f"{FILES}/", files={"file": (f"{n}.txt", b"%d" % n)}))["id"] for n in range(51)]
    first = good(person.client.get(f"{FILES}/"))
    assert (len(first["items"]), first["total"]) == (50, 51)
    assert set(first["items"][0]) >= FILE
    assert "content" in first["items"][-1]["data"]
    second = good(person.client.get(f"{FILES}/?page=2&content=false"))
    assert second["total"] == 51
    assert "content" not in second["items"][0]["data"]
    assert {each["id"] for each in first["items"] + second["items"]} == set(made)
    ignored = good(person.client.get(f"{FILES}/?skip=10&limit=1"))
    assert [each["id"] for each in ignored["items"]] == [each["id"] for each in first["items"]]
    invalid(person.client.get(f"{FILES}/?page=0"))
    assert good(person.client.get(f"{FILES}/user/count")) == 51


def test_files_are_searched_by_a_pattern(house: House) -> None:
    person = house.new_user("Anaïs")
    made = house.upload(name="relevé-{n}.txt", who=person)
    for path in (f"{FILES}/search", f"{FILES}/user/search"):
        assert [each["id"] for each in good(person.client.get(path, params={"filename": "RELEVÉ*"}))] == [made]
        assert good(person.client.get(path, params={"filename": "nothing-like-it"})) == []
    assert good(house.other.client.get(f"{FILES}/search", params={"filename": "relevé*"})) == []
    invalid(person.client.get(f"{FILES}/search"))


def test_files_are_counted(house: House) -> None:
    assert isinstance(good(house.admin.client.get(f"{FILES}/count")), int)
    assert isinstance(good(house.admin.client.get(f"{FILES}/user/count")), int)


def pdf() -> bytes:
    canvas = Canvas("planeur.pdf")
    canvas.drawString(72, 720, "Le planeur a une envergure de 18 metres.")
    return bytes(canvas.getpdfdata())


SHOWN = [
    pytest.param("Été.txt", b"La pompe.", "text/plain", "", None, id="text"),
    pytest.param("Été.txt", b"La pompe.", "text/plain", "?attachment=true", "attachment", id="text-attached"),
    pytest.param("Été.txt", b"La pompe.", "text/plain", "/Été.txt", "attachment", id="text-by-name"),
    pytest.param("planeur.pdf", pdf(), "application/pdf", "", "inline", id="pdf"),
    pytest.param("planeur.pdf", pdf(), "application/pdf", "?attachment=true", "attachment", id="pdf-attached"),
    pytest.param("page.html", b"<h1>La pompe</h1>", "text/html", "", "attachment", id="html"),
    pytest.param("page.html", b"<h1>La pompe</h1>", "text/html", "/html", "attachment", id="html-as-html"),
]


@pytest.mark.parametrize(("name", "content", "kind", "path", "disposition"), SHOWN)
def test_the_bytes_of_a_file(
    house: House, name: str, content: bytes, kind: str, path: str, disposition: str | None
) -> None:
    made = good(send(house, name, content, kind))["id"]
    answer = house.user.client.get(f"{FILES}/{made}/content{path}")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert answer.headers["etag"]
    assert answer.headers["last-modified"]
    shown = answer.headers.get("content-disposition")
    if disposition is None:
        assert shown is None
    elif path != "/html":
        assert shown is not None
        assert shown.startswith(disposition)
        assert "filename" in shown


def test_the_text_of_a_file_is_read_and_changed(house: House) -> None:
    made = house.upload(who=house.user)
    collection_id = house.collection(made, who=house.user)
    client = house.user.client
    assert good(client.get(f"{FILES}/{made}/data/content"))["content"].startswith(ZEPHYR[:40])
    text = "The warranty of the Zéphyr pump is now 31 months."
    assert good(client.post(f"{FILES}/{made}/data/content/update", json={"content": text})) == {"content": text}
    assert good(client.get(f"{FILES}/{made}/data/content")) == {"content": text}
    assert good(client.get(f"{FILES}/{made}"))["data"]["content"] == text
    for ref in ({"type": "file", "id": made}, {"type": "collection", "id": collection_id}):
        [source] = good(house.chat(house.user, files=[ref]))["sources"]
        assert source["document"] == [text]
    invalid(client.post(f"{FILES}/{made}/data/content/update", json={}))


def test_a_file_is_renamed(house: House) -> None:
    made = house.upload(who=house.user)
    body = good(house.user.client.post(f"{FILES}/{made}/rename", json={"filename": "Notice d'été.txt"}))
    assert FILE | {"path"} <= set(body)
    assert (body["filename"], body["meta"]["name"]) == ("Notice d'été.txt", "Notice d'été.txt")
    [source] = good(house.chat(house.user, files=[{"type": "file", "id": made}]))["sources"]
    assert source["metadata"][0]["name"] == "Notice d'été.txt"
    invalid(house.user.client.post(f"{FILES}/{made}/rename", json={}))


def test_a_deleted_file_leaves_every_collection(house: House) -> None:
    made = house.upload(who=house.user)
    collection_id = house.collection(made, who=house.user)
    assert good(house.user.client.delete(f"{FILES}/{made}")) == {"message": "File deleted successfully"}
    detail(house.user.client.get(f"{FILES}/{made}"), 404)
    assert good(house.user.client.get(f"/api/v1/knowledge/{collection_id}/files"))["total"] == 0


def test_all_files_are_deleted_by_the_administrator_only(unlocked: House, house: House) -> None:
    files = {"file": ("a.txt", b"abc")}
    made = good(unlocked.nobody.post(f"{FILES}/", files=files))["id"]
    assert good(unlocked.nobody.delete(f"{FILES}/all")) == {"message": "All files deleted successfully"}
    detail(unlocked.nobody.get(f"{FILES}/{made}"), 404)
    detail(house.user.client.delete(f"{FILES}/all"), 403)
