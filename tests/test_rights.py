"""Rights in the records: who sees, changes and owns what; users, keys, sessions, room and use, on both databases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from ragline.bootstrap import ADMIN_EMAIL, first_admin
from ragline.config.settings import Auth
from ragline.connectors.records import usage
from ragline.connectors.records.events import Event
from ragline.connectors.records.store import Records
from ragline.connectors.records.usage import Room
from ragline.errors import Conflict, Forbidden, NotFound, NotSignedIn, SetupError, TooLarge
from ragline.types import EVERYBODY, FileRecord, Permission, User
from tests.rows import file, user

SHARED, PRIVATE = "shared", "private"


async def answered(work: Awaitable[Any]) -> str:
    """Return how a call ended: "yes", or the error's name."""
    try:
        await work
    except (NotFound, Forbidden) as error:
        return type(error).__name__
    return "yes"


YES, HIDDEN, REFUSED = "yes", "NotFound", "Forbidden"

MATRIX = {
    # who: (sees, changes what is in it, owns) the shared collection, (sees, owns) its file, (sees) the private one
    "owner": (YES, YES, YES, YES, YES, YES),
    "reader": (YES, REFUSED, REFUSED, YES, REFUSED, HIDDEN),
    "writer": (YES, YES, REFUSED, YES, REFUSED, HIDDEN),
    "stranger": (HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN),
    "admin": (YES, YES, YES, YES, YES, YES),
    "owner-key": (YES, YES, YES, YES, YES, HIDDEN),
    "reader-key": (YES, REFUSED, REFUSED, YES, REFUSED, HIDDEN),
    "admin-key": (YES, YES, YES, YES, YES, HIDDEN),
    "owner-other-key": (HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, YES),
}
"""A "-key" is limited to the shared collection, an "-other-key" to the private one."""


@pytest.mark.parametrize("named", [True, False], ids=["by-name", "to-everybody"])
async def test_who_may_see_change_and_own_a_collection_and_its_file(records: Records, named: bool) -> None:
    people = {name: await user(records, name) for name in ("owner", "reader", "writer", "stranger")}
    people["admin"] = await user(records, "admin", "admin")
    ids = {
        name: (await records.collections.add(user_id=people["owner"].id, name=name, description="été")).id
        for name in (SHARED, PRIVATE)
    }
    for name in (SHARED, PRIVATE):
        await file(records, people["owner"], f"f-{name}")
        await records.collections.link(ids[name], f"f-{name}")
    grants: dict[str, Permission] = {people["writer"].id: "write"}
    await records.grants.replace(ids[SHARED], grants | {people["reader"].id if named else EVERYBODY: "read"})
    for name in ("owner", "reader", "admin"):
        people[f"{name}-key"] = replace(people[name], collections=frozenset({ids[SHARED]}))
    people["owner-other-key"] = replace(people["owner"], collections=frozenset({ids[PRIVATE]}))

    async def row(who: User) -> tuple[str, ...]:
        collections, files = records.collections, records.files
        calls = [
            collections.visible(ids[SHARED], who),
            collections.writable(ids[SHARED], who),
            collections.owned(ids[SHARED], who),
            files.visible(f"f-{SHARED}", who),
            files.owned(f"f-{SHARED}", who),
            collections.visible(ids[PRIVATE], who),
        ]
        return tuple([await answered(call) for call in calls])

    found = {name: await row(who) for name, who in people.items()}
    expected = MATRIX if named else MATRIX | {"stranger": MATRIX["reader"]}
    assert found == expected
    lists = {name: (await records.collections.page(who, limit=9, offset=0))[1] for name, who in people.items()}
    assert lists == {name: [row[0], row[5]].count(YES) for name, row in expected.items()}  # a list has what one may see
    await records.grants.replace(ids[SHARED], {})
    assert {(await row(people[name]))[0] for name in ("reader", "writer", "reader-key")} == {HIDDEN}


async def test_a_hidden_collection_reads_like_none(records: Records) -> None:
    ada, bob = await user(records, "ada"), await user(records, "bob")
    made = await records.collections.add(user_id=ada.id, name="été", description="")
    texts = []
    for collection_id in (made.id, "absent"):
        with pytest.raises(NotFound) as error:
            await records.collections.writable(collection_id, bob)
        texts.append(str(error.value).replace(collection_id, "ID"))
    assert texts[0] == texts[1]


async def test_users_know_of_those_with_whom_they_share(records: Records) -> None:
    ada, bob, eve, zoe = [await user(records, name) for name in ("ada", "bob", "eve", "zoé")]
    admin = await user(records, "root", "admin")
    made = await records.collections.add(user_id=ada.id, name="été", description="")

    async def known_to(asker: User) -> set[str]:
        found = set()
        for each in (ada, bob, eve, zoe):
            if await answered(records.users.acquainted(each.id, asker)) == YES:
                found.add(each.name)
        return found

    assert [await known_to(each) for each in (ada, bob)] == [{"ada"}, {"bob"}]
    await records.grants.replace(made.id, {bob.id: "read", eve.id: "write"})
    await file(records, zoe, "f")
    await records.collections.link(made.id, "f")
    assert await known_to(ada) == {"ada", "bob", "eve", "zoé"}
    assert await known_to(bob) == {"ada", "bob", "zoé"}  # whom else it is shared with is the owner's business
    assert await known_to(zoe) == {"zoé"}
    assert await known_to(admin) == {"ada", "bob", "eve", "zoé"}


async def test_accounts_are_found_by_name_and_address_whatever_the_accents(records: Records) -> None:
    for name in ("zoé", "Élodie", "marc"):
        await user(records, name)

    async def names(query: str, **page: int) -> tuple[list[str], int]:
        found, total = await records.users.page(query=query, **({"limit": 9, "offset": 0} | page))
        return sorted(each.user.name for each in found), total

    assert await names("") == (["marc", "zoé", "Élodie"], 3)
    assert await names("ELODIE") == (["Élodie"], 1)
    assert await names("zoe@EXAMPLE") == (["zoé"], 1)
    for query in ("", "example"):
        pages = [await names(query, limit=2, offset=offset) for offset in (0, 2, 4)]
        assert [total for _, total in pages] == [3, 3, 3]
        assert sorted(pages[0][0] + pages[1][0] + pages[2][0]) == ["marc", "zoé", "Élodie"]


async def test_of_two_administrators_who_demote_each_other_one_stays(records: Records) -> None:
    pair = [await user(records, name, "admin") for name in ("ada", "bob")]
    for _ in range(10):
        done = await asyncio.gather(
            *(records.users.change(each.id, role="user") for each in pair), return_exceptions=True
        )
        assert [type(each) for each in done].count(Conflict) == 1
        for each in pair:
            await records.users.change(each.id, role="admin")


async def test_a_new_role_or_password_ends_sessions_and_a_new_name_does_not(records: Records) -> None:
    ada = await user(records, "ada")

    async def stamp() -> int:
        return (await records.users.account(ada.id)).user.session_stamp

    assert await records.users.in_session(ada.id, jti="j", stamp=0) == ada
    await records.users.change(ada.id, name="Ada L.", email="ADA2@example.org", role="user")
    assert await stamp() == 0
    await records.users.change(ada.id, role="admin")
    await user(records, "root", "admin")
    await records.users.change(ada.id, password_hash="h")
    assert await stamp() == 2
    assert await records.users.in_session(ada.id, jti="j", stamp=0) is None
    now = await records.users.in_session(ada.id, jti="j", stamp=2)
    assert now is not None
    assert (now.name, now.email, now.role) == ("Ada L.", "ada2@example.org", "admin")
    for _ in range(2):
        await records.users.end_session("j", expires_at=int(time.time()) + 60)
    assert await records.users.in_session(ada.id, jti="j", stamp=2) is None
    assert await records.users.in_session(ada.id, jti="k", stamp=2) == now
    assert await records.users.in_session("absent", jti="k", stamp=2) is None


async def test_a_user_is_deleted_only_when_nothing_of_theirs_is_left(records: Records) -> None:
    ada, bob = await user(records, "ada"), await user(records, "bob")
    key, _ = await records.keys.add(ada.id, name="été")
    await file(records, ada, "f")
    mine = await records.collections.add(user_id=ada.id, name="à moi", description="")
    theirs = await records.collections.add(user_id=bob.id, name="à lui", description="")
    await records.grants.replace(theirs.id, {ada.id: "read"})
    await records.usage.add(ada.id, tokens=5)
    assert await records.users.delete(ada.id) is False
    belongings = await records.users.belongings(ada.id)
    assert (belongings.file_ids, belongings.collection_ids) == (["f"], [mine.id])
    await records.removals.add(["f"])
    assert await records.users.delete(ada.id) is False
    await records.collections.delete(mine.id)
    assert await records.users.delete(ada.id) is True
    assert await records.keys.identify(key) is None
    assert await records.grants.of([theirs.id]) == {}
    with pytest.raises(NotFound):
        await records.users.delete(ada.id)


async def test_a_file_that_comes_while_its_user_goes_is_never_left_behind(records: Records) -> None:
    for number in range(8):
        ada = await user(records, f"ada{number}")
        added, gone = await asyncio.gather(
            file(records, ada, f"f{number}"), records.users.delete(ada.id), return_exceptions=True
        )
        if gone is True:
            assert isinstance(added, IntegrityError)
        else:
            assert (gone, (await records.files.get(f"f{number}")).user_id) == (False, ada.id)


@pytest.mark.parametrize("room", [Room(max_files=3), Room(max_bytes=35)], ids=["files", "bytes"])
async def test_room_is_given_to_so_many_and_no_more_however_many_come_at_once(records: Records, room: Room) -> None:
    ada, bob = await user(records, "ada"), await user(records, "bob")
    done = await asyncio.gather(
        *(file(records, ada, f"f{number}", room=room) for number in range(9)), return_exceptions=True
    )
    assert sum(isinstance(each, FileRecord) for each in done) == 3
    assert {type(each) for each in done} == {FileRecord, TooLarge}
    assert (await records.files.page(ada, limit=1, offset=0))[1] == 3
    assert (await file(records, bob, "g", room=room)).user_id == bob.id
    with pytest.raises(TooLarge, match=r"quotas\.max_"):
        await records.usage.check_room(room, ada.id, size_bytes=10)
    await records.usage.check_room(room, ada.id, size_bytes=-5, more_files=0)


async def test_tokens_are_counted_by_user_and_day(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = await user(records, "ada"), await user(records, "bob")
    await asyncio.gather(*(records.usage.add(ada.id, tokens=7) for _ in range(10)))
    assert [await records.usage.tokens_today(each.id) for each in (ada, bob)] == [70, 0]
    day = usage.today()
    monkeypatch.setattr(usage, "today", lambda: day + 1)
    assert await records.usage.tokens_today(ada.id) == 0


async def test_a_key_is_as_much_as_it_was_made_for(records: Records) -> None:
    ada = await user(records, "ada")
    now = int(time.time())
    ended, _ = await records.keys.add(ada.id, name="ended", expires_at=now - 1)
    limited, _ = await records.keys.add(ada.id, name="limited", collections=["b", "a"], routes=["/api"])
    with pytest.raises(NotSignedIn, match="expired"):
        await records.keys.identify(ended)
    found = await records.keys.identify(limited)
    assert found is not None
    assert (found[0].collections, found[1].routes) == (frozenset({"a", "b"}), ["/api"])
    assert [key.last_used_at is not None for key in await records.keys.of(ada.id) if key.name == "limited"] == [True]
    assert await records.keys.delete(ada.id, name="ended") == 1
    assert await records.keys.delete("another", key_id=found[1].id) == 0


async def test_events_are_read_last_first_and_forgotten_by_age(records: Records) -> None:
    happened = [
        Event("POST", f"/{number}", 200, user_id="ab"[number % 2], at=float(number), details={"é": number})
        for number in range(5)
    ]
    await records.events.add(happened)
    await records.events.add([])
    found, total = await records.events.page(user_id="a", limit=2, offset=0)
    assert ([each.path for each in found], total, found[0].details) == (["/4", "/2"], 3, {"é": 4})
    assert await records.events.forget(before=3.0) == 3
    assert (await records.events.page(limit=9, offset=0))[1] == 2


async def test_servers_that_start_at_once_make_one_administrator(records: Records) -> None:
    auth = Auth(bootstrap_key=SecretStr("sk-fixed"))
    made = await asyncio.gather(*(first_admin(records, auth) for _ in range(4)))
    assert {(admin.email, key) for admin, key in made} == {(ADMIN_EMAIL, "sk-fixed")}
    assert (await records.users.page(limit=9, offset=0))[1] == 1


async def test_a_first_key_that_is_somebody_elses_is_one_clear_error(records: Records) -> None:
    admin, key = await first_admin(records, Auth())
    assert key is not None
    await user(records, "root", "admin")
    await records.users.change(admin.id, role="user")
    with pytest.raises(SetupError, match=r"auth\.bootstrap_key belongs to another user.*root@example\.org"):
        await first_admin(records, Auth(bootstrap_key=SecretStr(key)))
