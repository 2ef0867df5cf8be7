"""API keys: several a user, named, with an end, for some paths or collections only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from ragline.api.caller import Caller, Installation, identity_of
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_users import KeyId, KeyList, KeyOut, MadeKey, NewKey, NewKeyOut, refusal
from ragline.app import App
from ragline.errors import Conflict, Forbidden, NotFound
from ragline.types import ApiKey, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/auths", tags=["auth"])

PLAIN = "API key"
"""Name of the keys that clients of Open WebUI make."""
MOST_KEYS = 100


async def holder(request: Request, user: Caller) -> User:
    """Return who calls. Raises Forbidden for an API key that is limited: it must not look at, or make, wider ones."""
    key = identity_of(request).key
    if key is not None and (key.routes is not None or key.collections is not None):
        raise Forbidden("this API key is limited to routes or collections: sign in to manage keys")
    return user


async def maker(request: Request, user: Annotated[User, Depends(holder)]) -> User:
    """Return who calls. Raises Forbidden for an API key that has an end: what it makes could outlive it."""
    key = identity_of(request).key
    if key is not None and key.expires_at is not None:
        raise Forbidden("this API key expires: sign in to make another one")
    return user


Holder = Annotated[User, Depends(holder)]
Maker = Annotated[User, Depends(maker)]


@router.post("/api_key", responses=refusal(409, "too many keys"))
async def plain_key(response: Response, app: Installation, user: Maker) -> MadeKey:
    """Make an API key without limits, named "API key". It is shown this once: only its hash is kept."""
    key, _ = await made(app, user, NewKey(name=PLAIN), response)
    return MadeKey(api_key=key)


@router.get("/api_key", responses=refusal(404, "no such key"))
async def newest_key(app: Installation, user: Holder) -> MadeKey:
    """Return the ends of the newest key named "API key"; the whole key is kept nowhere."""
    for key in await app.records.keys.of(user.id):
        if key.name == PLAIN:
            return MadeKey(api_key=key.hint)
    raise NotFound(f"no key named {PLAIN!r}; POST /api/v1/auths/api_key makes one, /api/v1/auths/api_keys lists others")


@router.delete("/api_key")
async def delete_plain_keys(app: Installation, user: Holder) -> bool:
    """Delete the caller's keys named "API key"; true also where there is none."""
    await app.records.keys.delete(user.id, name=PLAIN)
    return True


@router.get("/api_keys")
async def keys(app: Installation, user: Holder) -> KeyList:
    """List the caller's keys, the newest first, expired ones too."""
    found = await app.records.keys.of(user.id)
    return KeyList(items=[KeyOut.of(key) for key in found], total=len(found))


@router.post("/api_keys")
async def new_key(body: NewKey, response: Response, app: Installation, user: Maker) -> NewKeyOut:
    """Make an API key, with an end and limits if wanted. It is shown this once: only its hash is kept."""
    key, known = await made(app, user, body, response)
    return NewKeyOut.of(known, api_key=key)


@router.delete("/api_keys/{key_id}")
async def delete_key(key_id: KeyId, app: Installation, user: Holder) -> bool:
    """Delete a key of the caller's; it is refused from now on."""
    if not await app.records.keys.delete(user.id, key_id=key_id):
        raise NotFound(f"no API key {key_id!r}")
    return True


async def made(app: App, user: User, wanted: NewKey, response: Response) -> tuple[str, ApiKey]:
    """Store a key. Raises NotFound for a collection that the user cannot see, Conflict for too many keys."""
    for collection_id in wanted.collections or []:
        await app.records.collections.visible(collection_id, user)
    if len(await app.records.keys.of(user.id)) >= MOST_KEYS:
        raise Conflict(f"this account has {MOST_KEYS} API keys, and no more are allowed: delete one first")
    response.headers["Cache-Control"] = "no-store"
    return await app.records.keys.add(
        user.id,
        name=wanted.name,
        routes=wanted.routes,
        collections=set(wanted.collections) if wanted.collections else None,
        expires_at=wanted.ends_at(),
    )
