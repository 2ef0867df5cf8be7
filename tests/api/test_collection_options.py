"""Options of collections, which their files are read and cut by; and what files and citations say of what was read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import openpyxl  # type: ignore[import-untyped]  # has no types
import pytest
from sqlalchemy import update

from ragline.connectors.records.tables import files, memberships
from ragline.types import Status
from tests.api.desk import Desk, Person
from tests.api.shelves import completed, sources

FAQ = "".join(f"## Combien coûte la pompe n° {number} ?\n\nElle coûte {number} €.\n\n" for number in range(1, 7))
QA = {"chunking": {"profile": "qa"}}


async def made(who: Person, options: Any = None, **more: Any) -> dict[str, Any]:
    body = {"name": "Foire aux questions", "description": "", **({"options": options} if options is not None else {})}
    answer = await who.client.post("/api/v1/knowledge/create", json=body | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def changed(who: Person, shelf: str, options: Any) -> dict[str, Any]:
    body = {"name": "Foire aux questions", "description": "", "options": options}
    answer = await who.client.post(f"/api/v1/knowledge/{shelf}/update", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def passages(who: Person, file_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = await who.client.get(f"/api/v1/files/{file_id}/chunks{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_a_collection_keeps_its_options_and_shows_them(desk: Desk) -> None:
    chosen = {"parsing": {"engine": "fast", "ocr": None}, "chunking": {"max_tokens": 128, "prefix": False}}
    shelf = await made(desk.admin, chosen)
    assert shelf["options"] == {"parsing": {"engine": "fast"}, "chunking": {"max_tokens": 128, "prefix": False}}
    assert (await made(desk.admin))["options"] == {}
    path = f"/api/v1/knowledge/{shelf['id']}"
    kept = await desk.admin.client.post(f"{path}/update", json={"name": "Autre", "description": ""})
    assert (kept.json()["options"], kept.json()["reading_again"]) == (shelf["options"], 0)
    assert (await changed(desk.admin, shelf["id"], QA))["options"] == QA
    assert (await changed(desk.admin, shelf["id"], {}))["options"] == {}
    assert (await desk.admin.client.get(path)).json()["options"] == {}
    assert [one["options"] for one in (await desk.admin.client.get("/api/v1/knowledge/")).json()["items"]] == [{}, {}]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        pytest.param({"chunking": {"profile": "poem"}}, ["chunking", "profile"], id="no-such-profile"),
        pytest.param({"chunking": {"max_tokens": 8}}, ["chunking", "max_tokens"], id="too-small"),
        pytest.param({"chunking": {"max_tokens": 40, "overlap_tokens": 40}}, ["chunking"], id="only-overlap"),
        pytest.param({"chunking": {"size": 1}}, ["chunking", "size"], id="unknown-key"),
        pytest.param({"parsing": {"workers": 9}}, ["parsing", "workers"], id="a-limit-of-the-server"),
        pytest.param({"parsing": {"ocr_languages": ["../fra"]}}, ["parsing", "ocr_languages", 0], id="a-path"),
        pytest.param({"parsing": {"ocr_languages": []}}, ["parsing", "ocr_languages"], id="no-language"),
        pytest.param({"embedder": {}}, ["embedder"], id="unknown-section"),
    ],
)
async def test_options_that_are_none_are_422_and_change_nothing(
    desk: Desk, options: Mapping[str, Any], place: list[Any]
) -> None:
    shelf = await made(desk.admin, QA)
    body = {"name": "n", "description": "", "options": options}
    for path in ("create", f"{shelf['id']}/update"):
        answer = await desk.admin.client.post(f"/api/v1/knowledge/{path}", json=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"][0]["loc"] == ["body", "options", *place]
    known = (await desk.admin.client.get(f"/api/v1/knowledge/{shelf['id']}")).json()
    assert (known["name"], known["options"]) == (shelf["name"], QA)


async def test_a_change_of_options_has_the_files_of_the_home_read_again_and_no_others(desk: Desk) -> None:
    ada = await desk.person("ada")
    home, other = (await made(ada))["id"], (await made(ada))["id"]
    file_id = await desk.upload(ada, "faq.md", FAQ)
    guest = await desk.upload(ada, "guest.md", "# Invité\n\nIl habite ailleurs.")
    for shelf, one in ((home, file_id), (other, guest)):
        await ada.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": one})
    await long_ago(desk)
    for shelf, one in ((other, file_id), (home, guest)):
        await ada.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": one})
    before = await passages(ada, file_id)
    assert len(before) < 6
    assert (await changed(ada, home, QA))["reading_again"] == 1
    assert (await sources(ada, "Combien coûte la pompe 3 ?", type="file", id=file_id))[0]["document"]
    await completed(desk, file_id)
    after = await passages(ada, file_id)
    assert [one["heading"] for one in after] == [f"Combien coûte la pompe n° {number} ?" for number in range(1, 7)]
    assert (await changed(ada, home, QA))["reading_again"] == 0
    assert (await changed(ada, home, {"chunking": {"profile": "qa", "prefix": True}}))["reading_again"] == 0
    assert (await changed(ada, other, {"chunking": {"max_tokens": 64}}))["reading_again"] == 1  # the guest's home
    await completed(desk, guest)
    assert len(await passages(ada, file_id)) == 6


async def test_a_file_without_a_collection_is_cut_by_the_options_of_the_first_it_is_put_into(desk: Desk) -> None:
    ada = await desk.person("ada")
    first, second = (await made(ada, QA))["id"], (await made(ada, {"chunking": {"profile": "table"}}))["id"]
    file_id = await desk.upload(ada, "faq.md", FAQ)
    version = (await desk.app.records.files.get(file_id)).version
    await ada.client.post(f"/api/v1/knowledge/{first}/file/add", json={"file_id": file_id})
    await completed(desk, file_id)
    assert len(await passages(ada, file_id)) == 6
    cut = (await desk.app.records.files.get(file_id)).version
    assert cut != version
    await long_ago(desk)
    await ada.client.post(f"/api/v1/knowledge/{second}/file/add", json={"file_id": file_id})
    await completed(desk, file_id)
    assert (await desk.app.records.files.get(file_id)).version == cut
    inside = await desk.upload(ada, "dedans.md", FAQ, knowledge_id=first)
    assert len(await passages(ada, inside)) == 6


async def test_what_was_cancelled_or_waits_is_not_queued_by_other_options(desk: Desk) -> None:
    ada = await desk.person("ada")
    shelf = (await made(ada))["id"]
    stored = await ada.client.post("/api/v1/files/?process=false", files={"file": ("a.txt", b"Plus tard.")})
    records = desk.app.records
    file_id = stored.json()["id"]
    await records.collections.link(shelf, file_id)
    assert (await changed(ada, shelf, QA))["reading_again"] == 0
    assert (await records.files.get(file_id)).stage == "stored"


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Été"
    sheet.append(["Ville", "Pompes"])
    for number in range(2, 90):
        sheet.append([f"Ville numéro {number} sur la Loire", number])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


async def test_a_citation_names_the_sheet_the_cells_and_the_headings(desk: Desk) -> None:
    ada = await desk.person("ada")
    answer = await ada.client.post(
        "/api/v1/files/?process_in_background=false", files={"file": ("villes.xlsx", workbook())}
    )
    file_id = answer.json()["id"]
    [source] = await sources(ada, "Combien de pompes a la ville numéro 77 sur la Loire ?", type="file", id=file_id)
    [about] = [place for place, text in zip(source["metadata"], source["document"], strict=True) if " 77 " in text]
    assert (about["sheet"], about["kind"], about["cells"][0]) == ("Été", "table", "A")
    assert "<th>Ville</th><th>Pompes</th>" in about["html"]
    shown = await passages(ada, file_id, "?skip=1&limit=2")
    assert [one["index"] for one in shown] == [1, 2]
    text = (await ada.client.get(f"/api/v1/files/{file_id}/data/content")).json()["content"]
    assert [text[one["start"] : one["end"]] for one in shown] == [one["text"] for one in shown]


async def test_the_passages_of_a_file_are_for_those_who_may_read_it(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    file_id = await desk.upload(ada, "a.md", FAQ)
    assert (await bob.client.get(f"/api/v1/files/{file_id}/chunks")).status_code == 404
    assert (await ada.client.get(f"/api/v1/files/{file_id}/chunks?limit=0")).status_code == 422
    answer = (await ada.client.get(f"/api/v1/files/{file_id}/chunks?skip=100")).json()
    assert answer["items"] == []
    assert answer["total"] == len(await passages(ada, file_id))


async def test_a_file_says_what_was_left_out_of_it_and_what_it_says_of_itself(desk: Desk) -> None:
    ada = await desk.person("ada")
    file_id = await desk.upload(ada, "a.md", FAQ)
    said = {"notes": ["page 7 has no text that could be recognised"], "about": {"title": "Été", "pages": 9}}
    queue = desk.app.records.queue
    await queue.again(file_id)
    await completed(desk, file_id)
    record = await desk.app.records.files.get(file_id)
    assert record.status is Status.COMPLETED
    await written(desk, file_id, said)
    client = ada.client
    for path, data in ((f"/api/v1/files/{file_id}", "data"), (f"/api/v1/files/{file_id}/process/status", None)):
        found = (await client.get(path)).json()
        shown = found[data] if data else found
        assert {key: shown[key] for key in said} == said
    [listed] = (await client.get("/api/v1/files/?content=false")).json()["items"]
    assert {key: listed["data"][key] for key in said} == said


async def long_ago(desk: Desk) -> None:
    """Let what is in a collection now be there since before what is put into one from now on."""
    async with desk.app.records.engine.begin() as connection:
        await connection.execute(update(memberships).values(created_at=memberships.c.created_at - 9))


async def written(desk: Desk, file_id: str, said: Mapping[str, Any]) -> None:
    """Note of a file what a reader would."""
    async with desk.app.records.engine.begin() as connection:
        await connection.execute(update(files).where(files.c.id == file_id).values(document=said))
