"""Accounts: sign-up, sign-in, sign-out, roles, what goes with an account, and how often a password may be tried."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragline.api import signing
from ragline.api.signing import Signing, network_of
from ragline.config.settings import Auth, Server
from ragline.errors import BadInput, TooMany
from ragline.pipelines.audit import audit
from tests.api.desk import Desk, Person, open_desk

PASSWORD = "été à l'océan"
ZOE = {"name": "Zoé Lefèvre", "email": "zoé@example.org", "password": PASSWORD}
SESSION = {"id", "name", "role", "email", "profile_image_url", "token", "token_type", "expires_at", "permissions"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"

Opener = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path, models_folder: Path) -> Opener:
    """Open a desk with other settings."""

    @asynccontextmanager
    async def open_it(**more: Any) -> AsyncIterator[Desk]:
        async with open_desk(tmp_path, models_folder, **more) as desk:
            yield desk

    return open_it


async def at(desk: Desk, address: str) -> httpx.AsyncClient:
    """Return a client without a token at this address."""
    transport = httpx.ASGITransport(desk.api, raise_app_exceptions=False, client=(address, 50000))
    return await desk.stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://ragline"))


async def sign_up(desk: Desk, **changed: Any) -> httpx.Response:
    return await (await desk.client()).post("/api/v1/auths/signup", json=ZOE | changed)


async def sign_in(client: httpx.AsyncClient, email: str = ZOE["email"], password: str = PASSWORD) -> httpx.Response:
    answer = await client.post("/api/v1/auths/signin", json={"email": email, "password": password})
    client.cookies.clear()
    return answer


async def bearer(desk: Desk, answer: httpx.Response) -> httpx.AsyncClient:
    assert answer.status_code == 200, answer.text
    return await desk.client(answer.json()["token"])


async def with_password(desk: Desk, name: str, role: str = "user") -> dict[str, Any]:
    """Add an account as an administrator does and return its first token and the rest."""
    body = {"name": name, "email": f"{name}@example.org", "password": PASSWORD, "role": role}
    answer = await desk.admin.client.post("/api/v1/auths/add", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_the_first_password_makes_an_administrator_and_closes_sign_up(desk: Desk) -> None:
    first = await sign_up(desk)
    assert first.status_code == 200, first.text
    assert first.json().keys() >= SESSION
    assert (first.json()["role"], first.json()["email"], first.json()["name"]) == (
        "admin",
        "zoé@example.org",
        "Zoé Lefèvre",
    )
    assert first.headers["set-cookie"].startswith("token=")
    assert "HttpOnly" in first.headers["set-cookie"]
    second = await sign_up(desk, email="b@example.org")
    assert (second.status_code, "/api/v1/auths/add" in second.json()["detail"]) == (403, True)


@pytest.mark.parametrize(("mode", "answered"), [("first", (403, None)), ("open", (200, "pending"))])
async def test_nobody_becomes_administrator_where_everybody_reaches_the_server(
    opened: Opener, mode: Any, answered: tuple[int, str | None]
) -> None:
    async with opened(server=Server(host="0.0.0.0"), auth=Auth(signup=mode)) as desk:
        answer = await sign_up(desk)
        assert (answer.status_code, answer.json().get("role")) == answered


async def test_who_signs_up_where_it_is_open_waits_until_admitted(opened: Opener) -> None:
    async with opened(auth=Auth(signup="open")) as desk:
        assert (await sign_up(desk)).json()["role"] == "admin"
        second = await sign_up(desk, email="b@example.org")
        waiting = await bearer(desk, second)
        assert second.json()["role"] == "pending"
        assert not any(any(group.values()) for group in second.json()["permissions"].values())
        assert (await waiting.get("/api/v1/auths/")).status_code == 200
        for path in ("/api/models", "/api/v1/files/", "/api/v1/users/search", "/api/v1/auths/api_keys"):
            refused = await waiting.get(path)
            assert (refused.status_code, "admitted" in refused.json()["detail"]) == (403, True), path
        admitted = {"id": second.json()["id"], "role": "user"}
        assert (await desk.admin.client.post("/api/v1/users/update/role", json=admitted)).json()["role"] == "user"
        assert (await waiting.get("/api/models")).status_code == 401
        again = await sign_in(await desk.client(), "b@example.org")
        assert (await (await bearer(desk, again)).get("/api/models")).status_code == 200
        assert again.json()["permissions"]["workspace"]["knowledge"] is True


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        pytest.param({"email": "no address"}, 400, id="no-address"),
        pytest.param({"email": "a@b\u00a0c"}, 400, id="space"),
        pytest.param({"email": "a\x1f@b"}, 400, id="control"),
        pytest.param({"email": "a\x00@b"}, 422, id="nul-in-address"),
        pytest.param({"name": "a\x00"}, 422, id="nul-in-name"),
        pytest.param({"name": " \t"}, 422, id="blank-name"),
        pytest.param({"password": "court"}, 422, id="short-password"),
        pytest.param({"password": 5}, 422, id="no-text"),
    ],
)
async def test_a_sign_up_that_cannot_be_says_why(desk: Desk, changed: dict[str, Any], status: int) -> None:
    answer = await sign_up(desk, **changed)
    assert (answer.status_code, PASSWORD in answer.text) == (status, False), answer.text
    assert not await desk.app.records.users.any_with_password()


async def test_accents_and_case_are_the_same_however_they_are_typed(desk: Desk) -> None:
    assert (await sign_up(desk)).status_code == 200
    typed = [unicodedata.normalize("NFD", text) for text in (" ZOÉ@Example.org ", PASSWORD)]
    assert (await sign_in(await desk.client(), *typed)).status_code == 200


async def test_a_wrong_password_and_an_unknown_account_look_alike(desk: Desk) -> None:
    await sign_up(desk)
    client = await desk.client()
    answers = [await sign_in(client, password="wrong"), await sign_in(client, "eve@example.org")]
    answers.append(await sign_in(client, desk.admin.user.email))  # who has no password at all
    assert {(each.status_code, each.text) for each in answers} == {(400, answers[0].text)}


async def test_a_session_is_shown_with_the_token_it_has(desk: Desk) -> None:
    made = await sign_up(desk)
    session = (await (await bearer(desk, made)).get("/api/v1/auths/")).json()
    assert (SESSION | {"status_message"}) <= session.keys()
    assert [session[key] for key in ("token", "expires_at")] == [made.json()[key] for key in ("token", "expires_at")]
    assert (await desk.admin.client.get("/api/v1/auths/")).status_code == 403
    assert (await (await desk.client()).get("/api/v1/auths/")).status_code == 401


async def test_signing_out_ends_this_session_and_no_other(desk: Desk) -> None:
    first = await bearer(desk, await sign_up(desk))
    second = await bearer(desk, await sign_in(await desk.client()))
    left = await first.post("/api/v1/auths/signout")
    assert left.json() == {"status": True}
    assert 'token=""' in left.headers["set-cookie"]
    assert [(await client.get("/api/v1/auths/")).status_code for client in (first, second)] == [401, 200]
    for token in (None, "no-token", desk.admin.key):
        assert (await (await desk.client(token)).post("/api/v1/auths/signout")).json() == {"status": True}
    assert (await desk.admin.client.get("/api/models")).status_code == 200


async def test_a_cookie_can_be_signed_out_too(desk: Desk) -> None:
    client = await desk.client()
    assert (await client.post("/api/v1/auths/signup", json=ZOE)).status_code == 200
    kept = client.cookies["token"]
    assert (await client.get("/api/v1/auths/")).status_code == 200
    await client.post("/api/v1/auths/signout")
    assert (await client.get("/api/v1/auths/")).json() == {"detail": "Not authenticated"}
    assert (await (await desk.client(kept)).get("/api/v1/auths/")).status_code == 401


async def test_a_new_password_ends_all_sessions(desk: Desk) -> None:
    first = await bearer(desk, await sign_up(desk))
    second = await bearer(desk, await sign_in(await desk.client()))
    path, new = "/api/v1/auths/update/password", "un autre été"
    wrong = await first.post(path, json={"password": "wrong", "new_password": new})
    assert (wrong.status_code, (await first.get("/api/v1/auths/")).status_code) == (400, 200)
    by_key = await desk.admin.client.post(path, json={"password": "", "new_password": new})
    assert by_key.status_code == 403
    assert (await first.post(path, json={"password": PASSWORD, "new_password": new})).json() is True
    assert [(await client.get("/api/v1/auths/")).status_code for client in (first, second)] == [401, 401]
    guest = await desk.client()
    assert [(await sign_in(guest, password=each)).status_code for each in (PASSWORD, new)] == [400, 200]


async def test_without_sign_in_everybody_gets_a_session_of_the_administrator(opened: Opener) -> None:
    async with opened(auth=Auth(enabled=False)) as desk:
        guest = await desk.client()
        answer = await guest.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        assert (answer.status_code, answer.json()["id"]) == (200, desk.admin.user.id)
        assert (await guest.get("/api/v1/auths/")).json()["role"] == "admin"


async def test_an_administrator_adds_accounts_and_others_cannot(desk: Desk) -> None:
    made = await with_password(desk, "Bénédicte", "user")
    assert {"id", "name", "role", "email", "profile_image_url", "token", "token_type"} <= made.keys()
    assert (made["email"], made["role"]) == ("bénédicte@example.org", "user")
    client = await desk.client(made["token"])
    assert (await client.get("/api/models")).status_code == 200
    again = await desk.admin.client.post("/api/v1/auths/add", json=ZOE | {"email": "BÉNÉDICTE@example.org"})
    assert (again.status_code, "bénédicte@example.org" in again.json()["detail"]) == (409, True)
    assert (await client.post("/api/v1/auths/add", json=ZOE)).status_code == 403
    assert (await desk.admin.client.post("/api/v1/auths/add", json=ZOE | {"email": "no"})).status_code == 400


async def test_too_many_failures_close_an_account_for_a_while(opened: Opener) -> None:
    async with opened(auth=Auth(max_failures=3, failure_window_s=200.0)) as desk:
        assert (await sign_up(desk)).status_code == 200
        tries = [await sign_in(await at(desk, f"10.0.0.{number}"), password="wrong") for number in range(4)]
        assert [each.status_code for each in tries] == [400, 400, 400, 429]
        right = await sign_in(await at(desk, "10.0.0.9"))
        assert right.status_code == 429
        assert 190 <= int(right.headers["Retry-After"]) <= 200
        assert "auth.max_failures" in right.json()["detail"]
        assert (await sign_in(await at(desk, "10.0.0.9"), "eve@example.org")).status_code == 400


async def test_too_many_failures_close_an_address_for_all_accounts(opened: Opener) -> None:
    async with opened(auth=Auth(max_failures=3)) as desk:
        assert (await sign_up(desk)).status_code == 200
        client = await at(desk, "10.0.0.1")
        tries = [await sign_in(client, f"u{number}@example.org") for number in range(4)]
        assert [each.status_code for each in tries] == [400, 400, 400, 429]
        assert (await sign_in(client)).status_code == 429
        assert (await sign_in(await at(desk, "10.0.0.2"))).status_code == 200


async def test_a_success_clears_the_account_and_not_the_address(opened: Opener) -> None:
    async with opened(auth=Auth(max_failures=3)) as desk:
        assert (await sign_up(desk)).status_code == 200
        for number in range(4):  # four failures of the account from four addresses, with a success after each
            client = await at(desk, f"10.0.0.{number}")
            assert [(await sign_in(client, password=each)).status_code for each in ("wrong", PASSWORD)] == [400, 200]
        client = await at(desk, "10.0.1.1")
        statuses = [(await sign_in(client, password=each)).status_code for each in ["wrong", PASSWORD] * 3 + ["wrong"]]
        assert statuses == [400, 200, 400, 200, 400, 429, 429]


async def test_sign_ups_are_counted_too(opened: Opener) -> None:
    async with opened(auth=Auth(signup="open", max_failures=2)) as desk:
        assert (await sign_up(desk)).status_code == 200
        assert [(await sign_up(desk)).status_code for _ in range(3)] == [409, 409, 429]


async def test_many_tries_at_once_are_no_way_around_the_limit(opened: Opener) -> None:
    async with opened(auth=Auth(max_failures=3)) as desk:
        await sign_up(desk)
        clients = [await at(desk, f"10.0.0.{number}") for number in range(12)]
        tries = await asyncio.gather(*(sign_in(client, password="wrong") for client in clients))
        statuses = sorted(each.status_code for each in tries)
        assert statuses == [400] * 3 + [429] * 9
        assert {int(each.headers["Retry-After"]) for each in tries if each.status_code == 429} == {1}


def test_failures_are_forgotten_when_their_time_has_passed() -> None:
    clock = [1000.0]
    limits = Signing(Auth(max_failures=2, failure_window_s=60.0), now=lambda: clock[0])

    def fail(email: str, address: str = "10.0.0.1") -> None:
        with pytest.raises(BadInput), limits.attempt(email, address):
            raise BadInput("wrong")

    fail("zoé@example.org")
    clock[0] = 1020.5
    fail("zoé@example.org", "10.0.0.2")
    with pytest.raises(TooMany) as refused, limits.attempt("zoé@example.org", "10.0.0.3"):
        pytest.fail("the block was entered")
    assert refused.value.retry_after_s == 40  # 1000 + 60 - 1020.5, rounded up
    clock[0] = 1060.0
    fail("zoé@example.org", "10.0.0.3")
    with pytest.raises(TooMany), limits.attempt("zoé@example.org", "10.0.0.3"):
        pytest.fail("the block was entered")


def test_an_error_that_says_nothing_of_the_password_is_no_failure() -> None:
    limits = Signing(Auth(max_failures=1))
    for _ in range(3):
        with pytest.raises(RuntimeError), limits.attempt("a@b", "10.0.0.1"):
            raise RuntimeError("the database is away")


def test_what_is_remembered_of_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "MOST_NAMES", 10)
    limits = Signing(Auth(max_failures=1))
    for number in range(50):
        with pytest.raises(BadInput), limits.attempt(f"u{number}@b", f"10.0.0.{number}"):
            raise BadInput("wrong")
    with pytest.raises(TooMany), limits.attempt("u49@b", None):
        pytest.fail("the block was entered")
    with limits.attempt("u1@b", "10.0.0.1"):  # forgotten
        assert len(limits._failures) <= 10


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("not an address", "not an address"),
    ],
)
def test_an_address_is_counted_as_its_network(address: str, counted: str) -> None:
    assert network_of(address) == counted


async def test_the_configuration_says_more_with_a_session(desk: Desk) -> None:
    guest = await desk.client()
    before = (await guest.get("/api/config")).json()
    assert {"status", "name", "version", "default_locale", "i18n", "oauth", "features"} <= before.keys()
    assert (before["onboarding"], before["features"]["enable_signup"]) == (True, True)
    person = await bearer(desk, await sign_up(desk))
    after = (await guest.get("/api/config")).json()
    features = after["features"]
    assert (after["onboarding"], features["enable_signup"], features["auth"]) == (False, False, True)
    more = {"default_models", "permissions", "file", "audio", "code", "ui"}
    assert more <= (await person.get("/api/config")).json().keys()
    for token in (desk.admin.key, "no-token"):
        assert not more & (await (await desk.client(token)).get("/api/config")).json().keys()


async def test_accounts_are_listed_found_and_changed_by_administrators(desk: Desk) -> None:
    made = await with_password(desk, "Bénédicte", "pending")
    client = desk.admin.client
    page = (await client.get("/api/v1/users/")).json()
    assert (page["total"], {each["email"] for each in page["users"]}) == (2, {"admin@localhost", made["email"]})
    assert {"last_active_at", "created_at", "updated_at", "profile_image_url"} <= page["users"][1].keys()
    assert (await client.get("/api/v1/users/", params={"page": 2})).json() == {"users": [], "total": 2}
    found = (await client.get("/api/v1/users/", params={"query": "BENE"})).json()
    assert [each["id"] for each in found["users"]] == [made["id"]]
    changed = {"name": "Béné", "email": "béné@example.org", "role": "user", "password": "nouvelle phrase"}
    answer = await client.post(f"/api/v1/users/{made['id']}/update", json=changed)
    assert [answer.json()[key] for key in ("name", "email", "role")] == ["Béné", "béné@example.org", "user"]
    assert (await (await desk.client(made["token"])).get("/api/v1/auths/")).status_code == 401
    assert (await sign_in(await desk.client(), "béné@example.org", "nouvelle phrase")).status_code == 200
    assert (await client.get(f"/api/v1/users/{made['id']}")).json() == answer.json()
    taken = await client.post(f"/api/v1/users/{made['id']}/update", json={"email": "admin@localhost"})
    assert taken.status_code == 409


FOREIGN: list[tuple[str, str, dict[str, str] | None]] = [
    ("GET", "/api/v1/users/{id}", None),
    ("POST", "/api/v1/users/{id}/update", {"name": "x"}),
    ("DELETE", "/api/v1/users/{id}", None),
    ("GET", "/api/v1/users/{id}/profile/image", None),
    ("GET", "/api/v1/users/search?query={id}", None),
    ("GET", "/api/v1/events?user_id={id}", None),
    ("POST", "/api/v1/users/update/role", {"id": "{id}", "role": "admin"}),
]


async def test_an_account_looks_the_same_to_others_as_one_that_does_not_exist(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")

    async def ask(user_id: str, method: str, path: str, body: dict[str, str] | None) -> tuple[int, str]:
        sent = body and {key: value.replace("{id}", user_id) for key, value in body.items()}
        answer = await bob.client.request(method, path.replace("{id}", user_id), json=sent)
        return answer.status_code, answer.text.replace(user_id, "ID")

    theirs = [await ask(ada.user.id, *call) for call in FOREIGN]
    assert theirs == [await ask(UNKNOWN, *call) for call in FOREIGN]
    assert [status for status, _ in theirs] == [403, 403, 403, 404, 200, 403, 403]


async def test_somebody_to_share_with_is_found_by_the_whole_address(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    found = (await bob.client.get("/api/v1/users/search", params={"query": "ADA@example.org"})).json()
    assert found == {"users": [{"id": ada.user.id, "name": "ada", "email": ada.user.email, "role": "user"}], "total": 1}
    for query in ("ada", "", "@example.org", ada.user.id):
        answer = await bob.client.get("/api/v1/users/search", params={"query": query})
        assert answer.json() == {"users": [], "total": 0}
    everybody = (await desk.admin.client.get("/api/v1/users/search", params={"query": "@example"})).json()
    assert everybody["total"] == 2


async def test_the_last_administrator_stays_and_nobody_deletes_themselves(desk: Desk) -> None:
    client, me = desk.admin.client, desk.admin.user.id
    assert (await client.delete(f"/api/v1/users/{me}")).status_code == 409
    demoted = await client.post("/api/v1/users/update/role", json={"id": me, "role": "user"})
    assert (demoted.status_code, "last administrator" in demoted.json()["detail"]) == (409, True)
    second = await desk.person("second", "admin")
    assert (await second.client.delete(f"/api/v1/users/{me}")).json() is True
    assert (await client.get("/api/models")).status_code == 401
    assert (await second.client.delete(f"/api/v1/users/{second.user.id}")).status_code == 409
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/update")]:
        assert (await second.client.request(method, f"/api/v1/users/{me}{path}", json={})).status_code == 404


async def share(desk: Desk, collection_id: str, user: Person, permission: Any = "read") -> None:
    await desk.app.records.grants.replace(collection_id, {user.user.id: permission})


async def tidied(desk: Desk) -> None:
    records = desk.app.records
    async with asyncio.timeout(10):
        while await records.files.untidy(limit=9) or await records.removals.waiting(limit=9):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_with_an_account_goes_all_that_is_stored_for_it(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    theirs = await desk.upload(ada, "été.txt", "La pompe Zéphyr a une garantie de 27 mois.")
    kept = await desk.upload(bob, "hiver.txt", "Le chauffage est garanti 12 mois.")
    adas, bobs = await desk.collection(ada, "à moi", theirs), await desk.collection(bob, "à lui", kept)
    await share(desk, bobs, ada)
    await share(desk, adas, bob, "write")
    added = await bob.client.post(f"/api/v1/knowledge/{adas}/file/add", json={"file_id": kept})
    assert added.status_code == 200, added.text
    assert (await desk.admin.client.delete(f"/api/v1/users/{ada.user.id}")).json() is True
    assert (await ada.client.get("/api/models")).status_code == 401
    for path in (f"/api/v1/files/{theirs}", f"/api/v1/knowledge/{adas}"):
        assert (await desk.admin.client.get(path)).status_code == 404
    assert (await bob.client.get(f"/api/v1/files/{kept}")).status_code == 200
    assert await desk.app.records.grants.of([bobs]) == {}
    assert (await desk.admin.client.get("/api/v1/users/", params={"query": "ada"})).json()["total"] == 0
    await tidied(desk)
    report = await audit(desk.app, repair=False)
    assert (list(report.findings), report.files) == ([], 1)


async def test_a_picture_shows_initials_to_those_who_share_something(desk: Desk) -> None:
    ada, bob, eve = await desk.person("ada"), await desk.person("bob"), await desk.person("eve")
    await desk.app.records.users.change(ada.user.id, name='<b onload="x">Élodie</b> d\'Été & <script>')
    path = f"/api/v1/users/{ada.user.id}/profile/image"
    own = await ada.client.get(path)
    assert (own.status_code, own.headers["content-type"].partition(";")[0]) == (200, "image/svg+xml")
    assert ">BS</text>" in own.text
    assert (await bob.client.get(path)).status_code == 404
    await share(desk, await desk.collection(ada, "à moi"), bob)
    assert [(await each.client.get(path)).status_code for each in (bob, eve, desk.admin)] == [200, 404, 200]
    back = f"/api/v1/users/{bob.user.id}/profile/image"
    assert (await ada.client.get(back)).status_code == 200


async def test_a_name_without_letters_is_a_question_mark_and_never_markup(desk: Desk) -> None:
    from ragline.api.users import initials

    names = {"<&>": "?", "": "?", "élodie été": "ÉÉ", "李 小龙": "李小", "&amp; &lt;": "AL", "x": "X"}
    assert {name: initials(name) for name in names} == names
