"""The table of odd cases of the contract, in the column `ours`."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from .house import House, detail, good


def uploaded(house: House, name: str, content: bytes, kind: str = "application/octet-stream") -> Any:
    """Upload, wait for the end of the processing and return the answer."""
    files = {"file": (name, content, kind)}
    return house.admin.client.post("/api/v1/files/?process_in_background=false", files=files)


def test_an_empty_file_is_400(house: House) -> None:
    detail(uploaded(house, "vide.txt", b""), 400)


def failed(answer: Any) -> str:
    """Return why the processing failed."""
    data = good(answer)["data"]
    assert data["status"] == "failed"
    return str(data["error"])


def test_blanks_fail_with_a_reason(house: House) -> None:
    assert failed(uploaded(house, "blancs.txt", b"  \n\t \n", "text/plain"))


def png() -> bytes:
    with io.BytesIO() as target:
        Image.new("RGB", (4, 4)).save(target, "PNG")
        return target.getvalue()


def test_an_unsupported_type_is_refused_at_once_or_fails_with_a_reason(house: House) -> None:
    answer = uploaded(house, "photo.png", png(), "image/png")
    if answer.status_code == 200:
        assert failed(answer)
    else:
        assert "photo.png" in detail(answer, 400)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cassé.pdf", b"%PDF-1.7\nce n'est pas un PDF"),
        ("cassé.docx", b"PK\x03\x04ce n'est pas un document"),
    ],
)
def test_a_broken_document_fails_in_our_words(house: House, name: str, content: bytes) -> None:
    why = failed(uploaded(house, name, content))
    assert why
    assert not any(word in why for word in ("Traceback", "Error(", "/site-packages", "pypdfium", "zipfile"))


def test_bytes_that_are_no_text_are_not_embedded(house: House) -> None:
    content = bytes(range(256)) * 40
    answer = uploaded(house, "bruit.bin", content)
    if answer.status_code == 200:
        assert failed(answer)
    else:
        detail(answer, 400)


def test_an_archive_is_unpacked_or_fails(house: House) -> None:
    with io.BytesIO() as target:
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("note.txt", "The warranty of the Tramontane pump is 17 months.")
        content = target.getvalue()
    answer = uploaded(house, "archive.zip", content, "application/zip")
    if answer.status_code != 200:
        detail(answer, 400)
    elif answer.json()["data"]["status"] == "completed":
        text = good(house.admin.client.get(f"/api/v1/files/{answer.json()['id']}"))["data"]["content"]
        assert "17 months" in text
        assert "PK" not in text
    else:
        assert failed(answer)


def test_two_files_in_one_upload_are_400(house: House) -> None:
    files = [("file", ("un.txt", b"un")), ("file", ("deux.txt", b"deux"))]
    detail(house.admin.client.post("/api/v1/files/", files=files), 400)


def test_a_page_of_a_document_counts_from_0(house: House) -> None:
    """Of the table "where we do better": `page` from 0, `page_label` as it is printed."""
    canvas = Canvas("deux-pages.pdf")
    for text in ("The first page is about kites and how they fly.", "The warranty of the Ponant pump is 19 months."):
        for line in range(40):
            canvas.drawString(72, 780 - 18 * line, f"{line}. {text}")
        canvas.showPage()
    made = good(uploaded(house, "deux-pages.pdf", canvas.getpdfdata(), "application/pdf"))["id"]
    question = [{"role": "user", "content": "What is the warranty of the Ponant pump?"}]
    [source] = good(house.chat(messages=question, files=[{"type": "file", "id": made}]))["sources"]
    pages = {place["page"]: place["page_label"] for place in source["metadata"]}
    assert pages[1] == "2"
    assert any("19 months" in text for text in source["document"])
