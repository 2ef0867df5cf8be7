"""API keys. They are kept as SHA-256: they are 128 random bits, which no list can guess."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import api_keys, users
from ragline.connectors.records.users import to_user
from ragline.errors import Conflict, NotFound, NotSignedIn
from ragline.types import ApiKey, User

KEY_PREFIX = "sk-"
SHOWN_CHARS = 4
"""Of a key, at both ends."""
USED_S = 300.0
"""How exactly the last use of a key is known: it is not written down at each request."""

BY_KEY = (
    select(users, *(column.label(f"key_{column.name}") for column in api_keys.c))
    .join(api_keys, api_keys.c.user_id == users.c.id)
    .where(api_keys.c.key_hash == bindparam("key_hash"))
)
"""Made once: it runs at each request."""


class Keys:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(
        self,
        user_id: str,
        *,
        name: str,
        key: str | None = None,
        routes: Collection[str] | None = None,
        collections: Collection[str] | None = None,
        expires_at: int | None = None,
    ) -> tuple[str, ApiKey]:
        """Store a key (a new one unless given) and return it; it cannot be read again.

        Repeating it with the same key changes nothing. Raises Conflict where another user has that key.
        """
        key = key or KEY_PREFIX + secrets.token_hex(16)
        hashed = key_hash(key)
        made = ApiKey(
            id=str(uuid.uuid4()),
            user_id=user_id,
            name=name,
            hint=hint_of(key),
            routes=None if routes is None else sorted(routes),
            collections=None if collections is None else sorted(collections),
            created_at=int(time.time()),
            expires_at=expires_at,
            last_used_at=None,
        )
        with suppress(IntegrityError):  # it is known
            async with self._engine.begin() as connection:
                await connection.execute(insert(api_keys).values(asdict(made) | {"key_hash": hashed}))
            return key, made
        async with self._engine.connect() as connection:
            known = (await connection.execute(select(api_keys).where(api_keys.c.key_hash == hashed))).first()
        if known is None:
            raise NotFound(f"no user {user_id!r}")
        if known.user_id != user_id:
            raise Conflict("this API key belongs to another user")
        return key, to_key(known)

    async def identify(self, key: str) -> tuple[User, ApiKey] | None:
        """Return whose key this is, as the user that it lets them be, and the key. Raises NotSignedIn if it expired."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(BY_KEY, {"key_hash": key_hash(key)})).first()
        if row is None:
            return None
        found, now = to_key(row, prefix="key_"), int(time.time())
        if found.expires_at is not None and found.expires_at <= now:
            raise NotSignedIn("the API key has expired; make a new one")
        if now - (found.last_used_at or 0) > USED_S:
            await self._used(found, now)
        limited = None if found.collections is None else frozenset(found.collections)
        return replace(to_user(row), collections=limited), found

    async def of(self, user_id: str) -> list[ApiKey]:
        """Return the user's keys, the newest first."""
        query = select(api_keys).where(api_keys.c.user_id == user_id)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.order_by(api_keys.c.created_at.desc(), api_keys.c.id))
            return [to_key(row) for row in rows]

    async def delete(self, user_id: str, *, key_id: str | None = None, name: str | None = None) -> int:
        """Delete the user's key of this id, or all of this name, and return how many there were."""
        chosen = [api_keys.c.user_id == user_id]
        if key_id is not None:
            chosen.append(api_keys.c.id == key_id)
        if name is not None:
            chosen.append(api_keys.c.name == name)
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(api_keys).where(*chosen))).rowcount

    async def _used(self, key: ApiKey, now: int) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(update(api_keys).where(api_keys.c.id == key.id).values(last_used_at=now))
            await connection.execute(update(users).where(users.c.id == key.user_id).values(last_active_at=now))


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def hint_of(key: str) -> str:
    """Return the ends of a key, by which its owner knows it again."""
    long = len(key) >= len(KEY_PREFIX) + 4 * SHOWN_CHARS
    shown = key.removeprefix(KEY_PREFIX)
    return f"{KEY_PREFIX}{shown[:SHOWN_CHARS]}…{shown[-SHOWN_CHARS:]}" if long else f"{KEY_PREFIX}…"


def to_key(row: Row[Any], *, prefix: str = "") -> ApiKey:
    return ApiKey(**{field.name: getattr(row, prefix + field.name) for field in fields(ApiKey)})
