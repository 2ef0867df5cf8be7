"""`/v1/files`, as OpenAI's own client calls it."""

from __future__ import annotations

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.api.desk import Desk, Person

NOTE = "La garantie de la pompe Zéphyr dure 27 mois."


def sdk(desk: Desk, who: Person) -> AsyncOpenAI:
    """Return OpenAI's client for the API in this process."""
    transport = httpx.ASGITransport(desk.api, raise_app_exceptions=False)
    http = httpx.AsyncClient(transport=transport, timeout=60)
    return AsyncOpenAI(base_url="http://ragline/v1", api_key=who.key, http_client=http, max_retries=0)


async def test_a_file_goes_in_is_processed_read_and_deleted(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    made = await client.files.create(file=("garantie é.txt", NOTE.encode()), purpose="user_data")
    assert (made.object, made.bytes, made.filename) == ("file", 45, "garantie é.txt")
    assert (made.purpose, made.status) == ("user_data", "uploaded")
    done = await client.files.wait_for_processing(made.id, poll_interval=0.05)
    assert (done.status, done.status_details) == ("processed", None)
    assert (await client.files.content(made.id)).text == NOTE
    assert (await ada.client.get(f"/api/v1/files/{made.id}")).json()["data"]["content"] == NOTE
    gone = await client.files.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(made.id)


async def test_a_file_uploaded_elsewhere_is_for_assistants_and_one_that_cannot_be_read_says_why(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    elsewhere = await desk.upload(ada, "note.txt", NOTE)
    assert (await client.files.retrieve(elsewhere)).purpose == "assistants"
    broken = await client.files.create(file=("vide.txt", b"   \n "), purpose="assistants")
    failed = await client.files.wait_for_processing(broken.id, poll_interval=0.05)
    assert failed.status == "error"
    assert failed.status_details


async def test_lists_go_on_after_the_last_one_in_both_orders(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    client = sdk(desk, ada)
    await sdk(desk, bob).files.create(file=("b.txt", b"bob"), purpose="assistants")
    ids = {}
    for name, purpose in (("1", "assistants"), ("2", "user_data"), ("3", "assistants"), ("4", "user_data")):
        ids[name] = (await client.files.create(file=(f"{name}.txt", NOTE.encode()), purpose=purpose)).id  # type: ignore[arg-type]  # a purpose as text
    newest = [file.id async for file in client.files.list(limit=3)]
    oldest = [file.id async for file in client.files.list(limit=1, order="asc")]
    assert set(newest) == set(ids.values())
    assert oldest == newest[::-1]
    data = {file.id async for file in client.files.list(purpose="user_data", limit=1)}
    assert data == {ids["2"], ids["4"]}
    first = await client.files.list(limit=3)
    assert (len(first.data), first.has_more) == (3, True)
    with pytest.raises(openai.UnprocessableEntityError, match="no file 'unknown' in this list"):
        await client.files.list(after="unknown")


async def test_another_users_file_is_one_that_does_not_exist(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    hers = (await sdk(desk, ada).files.create(file=("a.txt", NOTE.encode()), purpose="assistants")).id
    none = "00000000-0000-0000-0000-000000000000"
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        hidden = await bob.client.request(method, f"/v1/files/{hers}{path}")
        unknown = await bob.client.request(method, f"/v1/files/{none}{path}")
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.text.replace(hers, none) == unknown.text
    assert (await bob.client.get("/v1/files")).json()["data"] == []
    assert (await bob.client.get(f"/v1/files?after={hers}")).status_code == 422


async def test_a_reader_of_a_shared_store_reads_a_file_and_cannot_delete_it(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    file_id = await desk.upload(ada, "a.txt", NOTE)
    store = await desk.collection(ada, "partagé", file_id)
    await desk.app.records.grants.replace(store, {bob.user.id: "read"})
    client = sdk(desk, bob)
    assert (await client.files.content(file_id)).text == NOTE
    with pytest.raises(openai.PermissionDeniedError):
        await client.files.delete(file_id)


@pytest.mark.parametrize(
    ("form", "files", "status", "said"),
    [
        pytest.param({"purpose": "assistants"}, [("file", ("a.txt", b""))], 400, "", id="empty"),
        pytest.param({}, [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))], 400, "one file a request", id="two"),
        pytest.param({"purpose": "x" * 65}, [("file", ("a.txt", b"a"))], 422, "purpose", id="long-purpose"),
        pytest.param({"purpose": "a\0b"}, [("file", ("a.txt", b"a"))], 422, "purpose", id="nul"),
        pytest.param({}, [], 422, "file", id="none"),
        pytest.param(
            {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"},
            [("file", ("a.txt", b"a"))],
            400,
            "do not expire",
            id="expires",
        ),
    ],
)
async def test_wrong_uploads_are_refused(
    desk: Desk, form: dict[str, str], files: list[tuple[str, tuple[str, bytes]]], status: int, said: str
) -> None:
    ada = await desk.person("ada")
    answer = await ada.client.post("/v1/files", data=form, files=files or {"x": b"y"})
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert (await ada.client.get("/v1/files")).json()["data"] == []


async def test_a_key_for_some_collections_cannot_upload_beside_them(desk: Desk) -> None:
    ada = await desk.person("ada")
    store = await desk.collection(ada, "a")
    key, _ = await desk.app.records.keys.add(ada.user.id, name="limited", collections=[store])
    limited = await desk.client(key)
    assert (await limited.post("/v1/files", files={"file": ("a.txt", b"a")})).status_code == 403
