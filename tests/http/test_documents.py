"""Real documents, from ../shared (skipped where it is not there): the right passage comes first, with its page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import SHARED

from .running import Running
from .test_endpoints import events, upload

DOCUMENTS = SHARED / "data" / "docs" / "files"
FRENCH_PDF, ENGLISH_DOCX = "fr_olap.pdf", "handbook-872p.docx"

pytestmark = pytest.mark.skipif(not DOCUMENTS.exists(), reason="../shared/data is not there")

QUESTIONS = [
    pytest.param(
        "Combien y a-t-il d'opérateurs unaires et lequel retient les membres les plus fréquents ?",
        FRENCH_PDF,
        "Les opérateurs unaires sont au nombre de 3",
        3,
        id="french-pdf",
    ),
    pytest.param(
        "Which property above what cost must be listed in the fixed asset register?",
        ENGLISH_DOCX,
        "which exceed $500 in cost",
        None,  # Word left no page breaks in this file
        id="english-docx",
    ),
]


@pytest.fixture(scope="module")
def collection(server: Running) -> Iterator[str]:
    with server.client() as client:
        made = client.post("/api/v1/knowledge/create", json={"name": "Documents", "description": ""}).json()
        for name in (FRENCH_PDF, ENGLISH_DOCX):
            file_id = upload(client, name, (DOCUMENTS / name).read_bytes())["id"]
            client.post(f"/api/v1/knowledge/{made['id']}/file/add", json={"file_id": file_id})
        deadline = time.monotonic() + 280
        while time.monotonic() < deadline:
            status = client.get(f"/api/v1/files/{file_id}/process/status").json()
            if status["status"] == "completed":
                break
            assert status["status"] != "failed", status
            time.sleep(0.2)
        yield made["id"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("question", "name", "passage", "page"), QUESTIONS)
def test_the_right_passage_is_the_first_source(
    client: httpx.Client, collection: str, question: str, name: str, passage: str, page: int | None, *, stream: bool
) -> None:
    body = {
        "model": "extractive",
        "messages": [{"role": "user", "content": question}],
        "files": [{"type": "collection", "id": collection}],
        "stream": stream,
    }
    answer = client.post("/api/chat/completions", json=body)
    first: Any = next(events(answer.text)) if stream else json.loads(answer.text)
    [source] = first["sources"]
    assert passage in source["document"][0]
    assert (source["metadata"][0]["name"], source["metadata"][0].get("page")) == (name, page)
