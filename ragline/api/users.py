"""Accounts: for administrators all of them, for everybody else whom they share with."""

from __future__ import annotations

import html
import zlib

from fastapi import APIRouter, Response

from ragline.api.auth import About, email_of
from ragline.api.caller import Administrator, Caller, Installation, WholeCaller
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import Owner, Page
from ragline.api.wire_users import FoundUsers, RoleChange, UserChange, UserId, UserList, UserOut, Wanted
from ragline.errors import Conflict
from ragline.pipelines.leave import leave

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/users", tags=["users"])

PAGE_SIZE = 30
IMAGE_TYPE = "image/svg+xml"


@router.get("")
async def users(app: Installation, _: Administrator, page: Page = 1, query: Wanted = "") -> UserList:
    """List the accounts, the oldest first, 30 a page; for administrators.

    `query`: only those whose name or e-mail address contains it, whatever its case and accents.
    """
    found, total = await app.records.users.page(query=query, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    return UserList(users=[UserOut.of(each) for each in found], total=total)


@router.get("/search")
async def search(app: Installation, user: WholeCaller, query: Wanted = "", page: Page = 1) -> FoundUsers:
    """Find somebody to share with by their whole e-mail address; administrators as in the list of accounts."""
    if user.is_admin:
        found, total = await app.records.users.page(query=query, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
        return FoundUsers(users=[Owner.of(each.user) for each in found], total=total)
    known = await app.records.users.by_email(query.strip())
    return FoundUsers(users=[Owner.of(known)] if known and page == 1 else [], total=int(known is not None))


@router.post("/update/role")
async def change_role(body: RoleChange, app: Installation, _: Administrator) -> UserOut:
    """Give an account another role, such as `user` to one that is `pending`; for administrators.

    The sessions of the account end. 409 for the last administrator.
    """
    await app.records.users.change(body.id, role=body.role)
    return UserOut.of(await app.records.users.account(body.id))


@router.get("/{user_id}")
async def one(user_id: UserId, app: Installation, _: Administrator) -> UserOut:
    """Return an account; for administrators."""
    return UserOut.of(await app.records.users.account(user_id))


@router.post("/{user_id}/update")
async def update(user_id: UserId, body: UserChange, app: Installation, _: Administrator, about: About) -> UserOut:
    """Change name, e-mail address, role or password of an account; for administrators.

    A new role or password ends its sessions. 409 where the address is taken, and for the last administrator.
    """
    await app.records.users.account(user_id)
    email = email_of(body.email) if body.email is not None else None
    secret = await about.passwords.hashed(body.password) if body.password is not None else None
    await app.records.users.change(user_id, name=body.name, email=email, role=body.role, password_hash=secret)
    return UserOut.of(await app.records.users.account(user_id))


@router.delete("/{user_id}")
async def delete(user_id: UserId, app: Installation, user: Administrator) -> bool:
    """Delete an account with its files, collections, API keys and rights; for administrators.

    409 for one's own, and for the last administrator.
    """
    if user_id == user.id:
        raise Conflict("nobody can delete their own account: another administrator has to")
    await leave(app, user_id)
    return True


@router.get(
    "/{user_id}/profile/image",
    response_class=Response,
    responses={200: {"content": {IMAGE_TYPE: {"schema": {"type": "string"}}}, "description": "An SVG."}},
)
async def image(user_id: UserId, app: Installation, user: Caller) -> Response:
    """Return a picture of somebody's initials: one's own, or of whom one shares a collection with."""
    shown = await app.records.users.acquainted(user_id, user)
    headers = {
        "Cache-Control": "private, max-age=3600",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(picture(shown.name, shown.id), media_type=IMAGE_TYPE, headers=headers)


def picture(name: str, user_id: str) -> str:
    """Return an SVG with the initials of a name, in a colour that goes with the id."""
    hue = zlib.crc32(user_id.encode()) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">'
        f'<rect width="64" height="64" fill="hsl({hue},45%,38%)"/>'
        '<text x="32" y="32" dy=".36em" text-anchor="middle" font-family="sans-serif" font-size="26" fill="#fff">'
        f"{html.escape(initials(name))}</text></svg>"
    )


def initials(name: str) -> str:
    """Return the first letters of the first and the last word, in capitals; "?" where there are none."""
    letters = [next(filter(str.isalnum, word), "") for word in name.split()]
    known = [letter for letter in letters if letter]
    return "".join(known[:1] + known[1:][-1:]).upper() or "?"
