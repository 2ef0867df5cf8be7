"""Who else may read or change a collection: shown, given and taken back by its owner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from fastapi import APIRouter, Request
from pydantic import BaseModel

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import PathId
from ragline.api.wire_knowledge import GrantOut, Member, NewAccess, NewGrant, Opened
from ragline.app import App
from ragline.errors import BadInput
from ragline.types import EVERYBODY, CollectionRecord, Grant, Permission, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])

ANSWERED_FILES = 1000
"""Files in the answer to a change: with all of them, adding one by one would take the square of the time."""


@router.post("/{collection_id}/access/update")
async def share(request: Request, collection_id: PathId, body: NewAccess, app: Installation, user: Caller) -> Opened:
    """Give these users, or everybody, and no others rights on a collection; only its owner can.

    What they may read or search changes at once.
    """
    record = await app.records.collections.owned(collection_id, user)
    await grant(app, request, record, body.access_grants)
    return await opened(app, collection_id, user)


async def grant(app: App, request: Request, record: CollectionRecord, given: Sequence[NewGrant]) -> None:
    """Replace all rights on a collection. Raises BadInput, and changes nothing, for what is no right or no user."""
    rights = rights_of(given)
    rights.pop(record.user_id, None)  # the owner has them all
    await app.records.grants.replace(record.id, rights)
    request.state.details = {"collection_id": record.id, "grants": dict(rights)}


def rights_of(given: Iterable[NewGrant]) -> dict[str, Permission]:
    """Return what each user may do, by id; `write` counts where both are given. Raises BadInput for a group."""
    rights: dict[str, Permission] = {}
    for one in given:
        if one.principal_type != "user":
            raise BadInput(
                f"principal_type {one.principal_type!r}: there are no groups here, only `user`; name each user by id, "
                "or `*` for everybody"
            )
        if rights.get(one.principal_id) != "write":
            rights[one.principal_id] = one.permission
    return rights


class Access(BaseModel):
    """The part of a collection's answer that depends on who asks."""

    access_grants: list[GrantOut]
    write_access: bool


async def access_of(app: App, found: Collection[CollectionRecord], user: User) -> Mapping[str, Access]:
    """Return by id what this user is shown of the rights on these collections, which they may see."""
    ids = [record.id for record in found]
    grants = await app.records.grants.of(ids)
    writable = await app.records.collections.writable_among(ids, user)
    return {
        record.id: Access(
            access_grants=[GrantOut.of(one) for one in grants.get(record.id, ()) if may_see(user, record, one)],
            write_access=record.id in writable,
        )
        for record in found
    }


def may_see(user: User, record: CollectionRecord, one: Grant) -> bool:
    return user.is_admin or user.id == record.user_id or one.user_id in (user.id, EVERYBODY)


async def opened(app: App, collection_id: str, user: User) -> Opened:
    """Return a collection with the files added last."""
    record = await app.records.collections.visible(collection_id, user)
    found, total = await app.records.members.page(collection_id, limit=ANSWERED_FILES, offset=0)
    access = (await access_of(app, [record], user))[record.id]
    files = [Member.of(placed.file) for placed in found]
    return Opened.of(record, **dict(access), files=files, file_count=total)
