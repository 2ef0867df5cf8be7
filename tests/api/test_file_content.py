"""What is in a file, over HTTP: its bytes, the text that was read or written, and its name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from ragline.config.settings import Blobs
from ragline.pipelines.accept import replace
from tests.api.desk import Desk, open_desk
from tests.api.shelves import completed, put, sources
from tests.s3 import new_bucket, s3_server, use_s3

NOTE = "La garantie de la pompe Zéphyr est de 27 mois."
PAGE = "<!doctype html><html><body><script>alert(1)</script>Bonjour à tous, la pompe est là.</body></html>"


@pytest.mark.parametrize(
    ("name", "content", "content_type", "disposition"),
    [
        pytest.param("note.txt", NOTE, "text/plain; charset=utf-8", None, id="text"),
        pytest.param("page.html", PAGE, "text/html; charset=utf-8", "attachment", id="html"),
        pytest.param(
            "a.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>", "application/xml", "attachment", id="svg"
        ),
        pytest.param("b.svg", "<?xml version='1.0'?><svg>a</svg>", "application/xml", "attachment", id="xml"),
        pytest.param("code.js", "alert('é')", "text/plain", "attachment", id="code"),
        pytest.param("a.pdf", b"%PDF-1.7\n", "application/pdf", "inline", id="pdf"),
    ],
)
async def test_bytes_come_as_they_were_and_never_run(
    desk: Desk, name: str, content: str | bytes, content_type: str, disposition: str | None
) -> None:
    file_id = (await put(desk.admin, name, content, query="?process=false")).json()["id"]
    answer = await desk.admin.client.get(f"/api/v1/files/{file_id}/content")
    headers = answer.headers
    assert (answer.status_code, answer.content) == (200, content.encode() if isinstance(content, str) else content)
    assert headers["content-type"].startswith(content_type)
    assert headers.get("content-disposition", "").partition(";")[0] == (disposition or "")
    assert headers["x-content-type-options"] == "nosniff"
    assert ("sandbox" in headers.get("content-security-policy", "")) == (name != "a.pdf")
    html = await desk.admin.client.get(f"/api/v1/files/{file_id}/content/html")
    assert (html.content, html.headers.get("content-disposition")) == (
        answer.content,
        headers.get("content-disposition"),
    )
    for path in ("content?attachment=true", "content/whatever.exe"):
        saved = await desk.admin.client.get(f"/api/v1/files/{file_id}/{path}")
        assert (saved.content, saved.headers["content-disposition"]) == (
            answer.content,
            f"attachment; filename*=UTF-8''{name}",
        )


async def test_bytes_come_in_parts_and_only_when_they_are_new(desk: Desk) -> None:
    text = "0123456789"
    file_id = (await put(desk.admin, "Été à Paris.txt", text, query="?process=false")).json()["id"]
    path = f"/api/v1/files/{file_id}/content"
    whole = await desk.admin.client.get(path, params={"attachment": "true"})
    assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%89t%C3%A9%20%C3%A0%20Paris.txt"
    etag = whole.headers["etag"]
    for asked, status, part, where in (
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=0-99", 206, text, "bytes 0-9/10"),
        ("bytes=5-3", 200, text, None),
        ("bytes=0-1,4-5", 200, text, None),
        ("lines=1-2", 200, text, None),
    ):
        answer = await desk.admin.client.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.text, answer.headers.get("content-range")) == (status, part, where)
        assert int(answer.headers["content-length"]) == len(part)
    for beyond in ("bytes=10-", "bytes=-0"):
        answer = await desk.admin.client.get(path, headers={"Range": beyond})
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")
        assert "10 bytes" in answer.json()["detail"]
    for known in (etag, f'"other", W/{etag}', "*"):
        same = await desk.admin.client.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    for other in ({"If-None-Match": '"other"'}, {"Range": "bytes=2-4", "If-Range": '"other"'}):
        assert (await desk.admin.client.get(path, headers=other)).text == text


async def test_lost_bytes_are_an_error_and_not_half_an_answer(desk: Desk) -> None:
    made = (await put(desk.admin, "a.txt", NOTE, query="?process=false")).json()
    await desk.app.blobs.delete(made["path"])
    answer = await desk.admin.client.get(f"/api/v1/files/{made['id']}/content")
    assert (answer.status_code, "upload the file again" in answer.json()["detail"]) == (404, True)


async def test_bytes_are_read_from_s3_in_blocks_and_in_parts(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as url:
        use_s3(monkeypatch, url)
        async with open_desk(tmp_path, models_folder, blobs=Blobs(url=f"s3://{new_bucket()}/r")) as desk:
            big = "".join(f"Ligne {number} de l'été\n" for number in range(120_000))
            file_id = (await put(desk.admin, "grand.txt", big, query="?process=false")).json()["id"]
            path = f"/api/v1/files/{file_id}/content"
            record = await desk.app.records.files.get(file_id)
            blocks = [block async for block in desk.app.blobs.blocks(record.blob)]
            assert (len(blocks) > 2, b"".join(blocks).decode() == big) == (True, True)
            assert (await desk.admin.client.get(path)).text == big
            part = await desk.admin.client.get(path, headers={"Range": "bytes=2000000-2000099"})
            assert (part.status_code, part.content) == (206, big.encode()[2_000_000:2_000_100])
            made = (
                await desk.admin.client.post("/api/v1/knowledge/create", json={"name": "k", "description": ""})
            ).json()
            await desk.admin.client.post(f"/api/v1/knowledge/{made['id']}/file/add", json={"file_id": file_id})
            export = await desk.admin.client.get(f"/api/v1/knowledge/{made['id']}/export")
            assert zipfile.ZipFile(io.BytesIO(export.content)).read("grand.txt").decode() == big


async def test_a_written_text_answers_everywhere_until_the_file_gets_new_bytes(desk: Desk) -> None:
    ada = await desk.person("ada")
    file_id = await desk.upload(ada, "garantie.txt", NOTE)
    shelves = [await desk.collection(ada, name, file_id) for name in ("un", "deux")]
    new = "La garantie de la pompe Zéphyr est maintenant de 31 mois."
    text_path = f"/api/v1/files/{file_id}/data/content"
    assert (await ada.client.get(text_path)).json() == {"content": NOTE}
    answer = await ada.client.post(f"{text_path}/update", json={"content": new})
    assert (answer.status_code, answer.json()) == (200, {"content": new})
    for again in (False, True):
        if again:  # what is read from the bytes again is not what answers
            await ada.client.post(f"/api/v1/knowledge/{shelves[0]}/file/update", json={"file_id": file_id})
            await completed(desk, file_id)
        assert (await ada.client.get(text_path)).json() == {"content": new}
        for shelf in shelves:
            [source] = await sources(ada, "Quelle garantie ?", type="collection", id=shelf)
            assert source["document"] == [new]
    assert (await ada.client.get(f"/api/v1/files/{file_id}/content")).text == NOTE
    edited = (await desk.app.records.files.get(file_id)).edited
    newest = "Une garantie de 40 mois."
    assert (await ada.client.post(text_path, json={"content": newest})).json() == {"content": newest}
    assert edited not in [name for name, _ in await desk.app.blobs.names("texts")]
    record = await desk.app.records.files.get(file_id)
    await replace(desk.app, record, name="garantie.txt", content=io.BytesIO(b"De 12 mois."))
    await completed(desk, file_id)
    assert (await ada.client.get(text_path)).json() == {"content": "De 12 mois."}
    await ada.client.delete(f"/api/v1/files/{file_id}")
    assert [await desk.app.blobs.names(folder) for folder in ("texts", "files")] == [[], []]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"content": " \n "}, 400, id="blank"),
        pytest.param({"content": "a\0b"}, 422, id="nul"),
        pytest.param({"content": 7}, 422, id="number"),
        pytest.param({}, 422, id="nothing"),
    ],
)
async def test_a_text_that_is_none_is_refused_and_changes_nothing(desk: Desk, body: object, status: int) -> None:
    file_id = await desk.upload(desk.admin, "a.txt", NOTE)
    path = f"/api/v1/files/{file_id}/data/content"
    assert (await desk.admin.client.post(f"{path}/update", json=body)).status_code == status
    assert (await desk.admin.client.get(path)).json() == {"content": NOTE}


async def test_a_new_name_shows_up_in_sources(desk: Desk) -> None:
    file_id = await desk.upload(desk.admin, "avant.txt", NOTE)
    answer = await desk.admin.client.post(
        f"/api/v1/files/{file_id}/rename", json={"filename": "../Après \u202ela garantie.txt"}
    )
    known = answer.json()
    assert (answer.status_code, known["filename"], known["meta"]["name"]) == (200, *["Après la garantie.txt"] * 2)
    assert known["data"]["content"] == NOTE
    [source] = await sources(desk.admin, "Quelle garantie ?", type="file", id=file_id)
    assert [each["name"] for each in source["metadata"]] == ["Après la garantie.txt"]
    for wrong, status in (("..", 400), ("", 422), (7, 422)):
        refused = await desk.admin.client.post(f"/api/v1/files/{file_id}/rename", json={"filename": wrong})
        assert refused.status_code == status
