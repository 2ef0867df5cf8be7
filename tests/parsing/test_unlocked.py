"""Office files with a password."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
from msoffcrypto.format.ooxml import OOXMLFile  # type: ignore[import-untyped]  # has no types

from ragline.config.settings import Engine
from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import DOCX
from ragline.pipelines.reading import Options
from tests.parsing.office_files import CONTENT_TYPES, paragraph, word, zipped

PADDING = random.Random(1).randbytes(6_000).hex()
"""The library that encrypts writes wrong containers for less than 4 KiB; this does not shrink."""


def encrypted(data: bytes, password: str) -> bytes:
    buffer, padded = io.BytesIO(), io.BytesIO(data)
    with zipfile.ZipFile(padded, "a") as archive:
        archive.writestr("docProps/padding.txt", PADDING)
    OOXMLFile(padded).encrypt(password, buffer)
    return buffer.getvalue()


def read(tmp_path: Path, data: bytes, options: Options) -> list[str]:
    file = tmp_path / "blob"
    file.write_bytes(data)
    return [element.text for element in parse(file, "a.docx", DOCX, options=options).elements]


@pytest.mark.parametrize("engine", ["auto", "fast", "unstructured"])
def test_the_password_opens_the_document_and_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    data = encrypted(word(paragraph("Très secret")), "été")
    assert read(tmp_path, data, Options(engine=engine, password="été")) == ["Très secret"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("password", "message"),
    [
        pytest.param(None, "'a.docx' needs a password; give it with the upload", id="none"),
        pytest.param("hiver", "is not opened by the password that was given", id="wrong"),
    ],
)
def test_without_the_right_password_it_says_what_to_do(tmp_path: Path, password: str | None, message: str) -> None:
    with pytest.raises(ParseFailed, match=message):
        read(tmp_path, encrypted(word(paragraph("x")), "été"), Options(password=password))


def test_a_workbook_that_is_only_protected_against_changes_needs_none(tmp_path: Path) -> None:
    assert read(tmp_path, encrypted(word(paragraph("ouvert")), "VelvetSweatshop"), Options()) == ["ouvert"]


def test_a_bomb_is_seen_behind_the_password(tmp_path: Path) -> None:
    bomb = zipped({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": "0" * (20 << 20)})
    with pytest.raises(OverLimit, match="taken for a zip bomb"):
        read(tmp_path, encrypted(bomb, "été"), Options(password="été"))
