"""Uploads with names and contents that are made to do harm: refused with a reason, or stored under a harmless name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.desk import Desk

NOTE = "La garantie de la pompe est de 27 mois, même en été."


def written(folder: Path) -> set[str]:
    """Return the files below a folder, except those of the database, which come and go."""
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "ragline.db" not in path.name
    }


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        pytest.param("../../etc/cron.d/été.txt", "été.txt", id="way-out"),
        pytest.param("..\\..\\win.txt", "win.txt", id="way-out-of-windows"),
        pytest.param("/etc/passwd", "passwd", id="absolute"),
        pytest.param("a" * 300 + ".txt", "a" * 196 + ".txt", id="300-characters"),
        pytest.param("é" * 300 + ".txt", "é" * 196 + ".txt", id="600-bytes"),
        pytest.param("con.txt", "con.txt", id="device-of-windows"),
        pytest.param("x\u202etxt.exe.txt", "xtxt.exe.txt", id="right-to-left"),
        pytest.param("emoji 📄.md", "emoji 📄.md", id="emoji"),
        pytest.param(".htaccess", ".htaccess", id="dot"),
        pytest.param("' OR 1=1;--.txt", "' OR 1=1;--.txt", id="sql"),
    ],
)
async def test_an_odd_name_harms_nobody(desk: Desk, tmp_path: Path, name: str, stored: str) -> None:
    around = written(tmp_path.parent) - {f"{tmp_path.name}/{each}" for each in written(tmp_path)}
    answer = await desk.admin.client.post(
        "/api/v1/files/?process_in_background=false", files={"file": (name, NOTE.encode(), "text/plain")}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["filename"] == stored
    assert answer.json()["data"]["status"] == "completed"
    file_id = answer.json()["id"]
    content = await desk.admin.client.get(f"/api/v1/files/{file_id}/content")
    assert (content.status_code, content.content) == (200, NOTE.encode())
    assert "\n" not in content.headers.get("content-disposition", "")
    assert written(tmp_path.parent) - {f"{tmp_path.name}/{each}" for each in written(tmp_path)} == around


def form(head: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of an upload whose part has this head, as no library would write it."""
    body = b"--b\r\n" + head + b"\r\n\r\n" + NOTE.encode() + b"\r\n--b--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        pytest.param(b'Content-Disposition: form-data; name="file"; filename="a\x00b.txt"', {200, 400}, id="nul"),
        pytest.param(b'Content-Disposition: form-data; name="file"; filename="a\nb.txt"', {200, 400}, id="newline"),
        pytest.param(
            b'Content-Disposition: form-data; name="file"; filename="\xff\xfe.txt"', {200, 400}, id="not-utf-8"
        ),
        pytest.param(b'Content-Disposition: form-data; name="file"; filename=".."', {400}, id="two-dots"),
        pytest.param(b'Content-Disposition: form-data; name="file"; filename="\x00"', {400}, id="only-a-nul"),
        pytest.param(b'Content-Disposition: form-data; name="file"; filename=""', {400, 422}, id="no-name"),
        pytest.param(b"Content-Disposition: form-data", {400, 422}, id="no-field"),
        pytest.param(b"Content-Disposition: " + b"a" * 100_000, {400, 422}, id="long-head"),
    ],
)
async def test_an_odd_form_is_no_fault(desk: Desk, head: bytes, statuses: set[int]) -> None:
    body, headers = form(head)
    answer = await desk.admin.client.post("/api/v1/files/?process=false", content=body, headers=headers)
    assert answer.status_code in statuses, answer.text
    assert answer.json()["filename" if answer.status_code == 200 else "detail"]
    if answer.status_code == 200:
        assert not {"\x00", "\n", "/"} & set(answer.json()["filename"])


@pytest.mark.parametrize(
    ("name", "content", "status", "said"),
    [
        pytest.param("vide.txt", b"", 400, "empty", id="empty"),
        pytest.param("programme.txt", b"MZ\x90\x00\x03" + bytes(400), 400, "cannot be read", id="program"),
        pytest.param("bruit.pdf", bytes(range(256)) * 40, 400, "cannot be read", id="noise"),
    ],
)
async def test_what_nothing_can_read_is_refused_at_once(
    desk: Desk, name: str, content: bytes, status: int, said: str
) -> None:
    answer = await desk.admin.client.post("/api/v1/files/", files={"file": (name, content)})
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
