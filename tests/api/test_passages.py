"""A passage in its surroundings: as JSON and as a page, for those who may read the file; and what answers say of it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from tests.api.desk import Desk, Person
from tests.api.shelves import sources

PARTS = [
    f"# Chapitre {number}\n\n"
    + f"L'atelier n° {number} a livré {number}00 pompes à Nantes en {2000 + number}, œuvres & pièces <b>comprises</b>. "
    * 8
    for number in range(1, 8)
]
TEXT = "\n\n".join(PARTS)


@pytest.fixture
async def file_id(desk: Desk) -> str:
    return await desk.upload(desk.admin, "ateliers.md", TEXT)


async def get(who: Person, path: str, **headers: str) -> Any:
    return await who.client.get(path, headers=headers)


async def passages(who: Person, file_id: str) -> list[dict[str, Any]]:
    answer = await get(who, f"/api/v1/files/{file_id}/chunks?limit=500")
    items: list[dict[str, Any]] = answer.json()["items"]
    assert len(items) >= 5
    return items


async def extracted(who: Person, file_id: str) -> str:
    return str((await get(who, f"/api/v1/files/{file_id}/data/content")).json()["content"])


async def test_a_passage_comes_with_the_text_around_it(desk: Desk, file_id: str) -> None:
    text, chunks = await extracted(desk.admin, file_id), await passages(desk.admin, file_id)
    for chunk in chunks:
        shown = (await get(desk.admin, f"/api/v1/files/{file_id}/passages/{chunk['id']}")).json()
        index = chunk["index"]
        assert shown | chunk == shown
        assert shown["text"] == text[shown["start"] : shown["end"]]
        assert shown["before"] == text[shown["before_start"] : shown["start"]]
        assert shown["after"] == text[shown["end"] : shown["after_end"]]
        assert shown["before_start"] == chunks[max(0, index - 1)]["start"]
        assert shown["after_end"] == chunks[min(len(chunks) - 1, index + 1)]["end"]
        assert shown["previous"] == (chunks[index - 1]["id"] if index else None)
        assert shown["next"] == (chunks[index + 1]["id"] if index + 1 < len(chunks) else None)
        assert (shown["file_id"], shown["name"], shown["total"]) == (file_id, "ateliers.md", len(chunks))


@pytest.mark.parametrize("around", [0, 2, 5])
async def test_more_or_less_of_its_surroundings(desk: Desk, file_id: str, around: int) -> None:
    chunks = await passages(desk.admin, file_id)
    shown = (await get(desk.admin, f"/api/v1/files/{file_id}/passages/2?around={around}")).json()
    assert shown["id"] == chunks[2]["id"]
    assert shown["before_start"] == chunks[max(0, 2 - around)]["start"]
    assert shown["after_end"] == chunks[min(len(chunks) - 1, 2 + around)]["end"]
    assert (shown["previous"], shown["next"]) == (chunks[1]["id"], chunks[3]["id"])


async def test_a_passage_is_found_by_a_place_in_the_text(desk: Desk, file_id: str) -> None:
    chunks = await passages(desk.admin, file_id)
    for place in (chunks[3]["start"], chunks[3]["end"] - 1):
        shown = (await get(desk.admin, f"/api/v1/files/{file_id}/passages/@{place}")).json()
        assert shown["start"] <= place < shown["end"]


@pytest.mark.parametrize(
    ("chunk", "status", "said"),
    [
        pytest.param("99", 404, "its passages are 0 to", id="index"),
        pytest.param("0b8f7c3e-0000-5000-8000-000000000000", 404, "older version", id="unknown-id"),
        pytest.param("@99999999", 404, "its passages are 0 to", id="place"),
        pytest.param("12345678901", 422, "at most 9 digits", id="long-number"),
        pytest.param("²", 404, "has no passage '²': give a number from 0 to", id="superscript"),
        pytest.param("abc", 404, "has no passage 'abc': give a number from 0 to", id="no-number"),
        pytest.param("é" * 101, 422, "at most 100 characters", id="too-long"),
        pytest.param("0?around=6", 422, "less than or equal to 5", id="too-much-around"),
        pytest.param("0?format=xml", 422, "'json' or 'html'", id="format"),
    ],
)
async def test_what_is_not_there_is_said_clearly(desk: Desk, file_id: str, chunk: str, status: int, said: str) -> None:
    answer = await get(desk.admin, f"/api/v1/files/{file_id}/passages/{chunk}")
    assert answer.status_code == status
    assert said in json.dumps(answer.json(), ensure_ascii=False)


async def test_a_passage_of_an_older_version_is_gone(desk: Desk, file_id: str) -> None:
    old = (await passages(desk.admin, file_id))[0]["id"]
    path = f"/api/v1/files/{file_id}/data/content/update"
    await desk.admin.client.post(path, json={"content": TEXT.replace("Nantes", "Brest")})
    answer = await get(desk.admin, f"/api/v1/files/{file_id}/passages/{old}")
    assert answer.status_code == 404
    assert "older version" in answer.json()["detail"]
    now = await get(desk.admin, f"/api/v1/files/{file_id}/passages/0")
    assert "Brest" in now.json()["text"]


async def test_who_may_not_read_the_file_sees_none_of_its_passages(desk: Desk, file_id: str) -> None:
    [chunk, *_] = await passages(desk.admin, file_id)
    stranger, nobody = await desk.person("eve"), await desk.client()
    path = f"/api/v1/files/{file_id}/passages/{chunk['id']}"
    unknown = await get(stranger, f"/api/v1/files/nope/passages/{chunk['id']}")
    refused = await get(stranger, path)
    assert (refused.status_code, unknown.status_code) == (404, 404)
    assert refused.json()["detail"].replace(file_id, "nope") == unknown.json()["detail"]
    assert (await nobody.get(path)).status_code == 401
    assert (await get(stranger, path, accept="text/html")).status_code == 404


async def test_a_file_that_was_only_stored_has_no_passages_yet(desk: Desk) -> None:
    sent = await desk.admin.client.post("/api/v1/files/?process=false", files={"file": ("a.txt", b"Un texte.")})
    answer = await get(desk.admin, f"/api/v1/files/{sent.json()['id']}/passages/0")
    assert answer.status_code == 409
    assert "no passages yet" in answer.json()["detail"]


async def test_a_browser_gets_a_page_in_its_language(desk: Desk, file_id: str) -> None:
    path = f"/api/v1/files/{file_id}/passages/1"
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = await get(desk.admin, path, accept=accept, **{"accept-language": "fr-CH, fr;q=0.9, en;q=0.8"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Passage suivant" in page.text
    assert '<html lang="fr">' in page.text
    english = await get(desk.admin, f"{path}?format=html")
    assert "Next passage" in english.text
    as_json = await get(desk.admin, f"{path}?format=json", accept=accept)
    assert as_json.json()["index"] == 1


async def test_the_page_highlights_the_passage_and_runs_nothing(desk: Desk) -> None:
    hostile = "</mark><script>alert(1)</script> \"'&<img src=x onerror=alert(2)> Le prix est de 12 €.\n\n"
    file_id = await desk.upload(desk.admin, "<b>é&.txt", hostile * 40)
    page = await get(desk.admin, f"/api/v1/files/{file_id}/passages/1?format=html")
    body = page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert re.findall(r"<(\w+)", body.split("<body>")[1]) == [
        "header", "h1", "main", "p", "mark", "p", "nav", "span", "a", "span", "a", "footer",
    ]  # fmt: skip
    [marked] = re.findall(r"<mark[^>]*>(.*?)</mark>", body, re.DOTALL)
    text = (await get(desk.admin, f"/api/v1/files/{file_id}/passages/1")).json()["text"]
    assert marked == text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace(
        '"', "&quot;"
    ).replace("'", "&#x27;")


async def test_sources_lead_to_their_passages_and_say_what_is_in_the_file(desk: Desk, file_id: str) -> None:
    text = await extracted(desk.admin, file_id)
    [entry] = await sources(desk.admin, "Combien de pompes l'atelier n° 3 a-t-il livrées ?", type="file", id=file_id)
    assert entry["document"]
    for document, about in zip(entry["document"], entry["metadata"], strict=True):
        assert text[about["start_index"] : about["end_index"]] == document
        shown = (await get(desk.admin, about["passage_url"])).json()
        assert (shown["text"], shown["id"], shown["heading"]) == (document, about["passage_id"], about["heading"])
    [whole] = await sources(desk.admin, "Combien ?", type="file", id=file_id, context="full")
    shown = (await get(desk.admin, whole["metadata"][0]["passage_url"])).json()
    assert shown["index"] == 0


async def test_many_ask_at_once(desk: Desk, file_id: str) -> None:
    paths = [f"/api/v1/files/{file_id}/passages/{index % 5}" for index in range(40)]
    answers = await asyncio.gather(*(get(desk.admin, path) for path in paths))
    assert {answer.status_code for answer in answers} == {200}
