"""Users and their API keys. Keys are kept as SHA-256: they are 128 random bits, which no list can guess."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, exists, insert, literal, select, text, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import api_keys, users
from ragline.errors import Conflict
from ragline.types import Role, User

KEY_PREFIX = "sk-"


BY_KEY = (
    select(users).join(api_keys, api_keys.c.user_id == users.c.id).where(api_keys.c.key_hash == bindparam("key_hash"))
)
"""Made once: it runs at each request."""


class Users:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, *, name: str, email: str, role: Role, password_hash: str | None) -> User:
        """Add a user. Raises Conflict when the e-mail address is taken; addresses are compared in lower case."""
        added = await self._insert(name, email, role, password_hash, where=true())
        assert added is not None
        return added

    async def add_first(self, *, name: str, email: str, password_hash: str) -> User | None:
        """Add an administrator if nobody has a password yet, else return None; of many at once one succeeds."""
        nobody = ~exists(select(users.c.id).where(users.c.password_hash.is_not(None)))
        return await self._insert(name, email, "admin", password_hash, where=nobody)

    async def _insert(
        self, name: str, email: str, role: Role, password_hash: str | None, *, where: ColumnElement[bool]
    ) -> User | None:
        now = int(time.time())
        row = {
            "id": str(uuid.uuid4()),
            "email": email.lower(),
            "name": name,
            "role": role,
            "password_hash": password_hash,
            "created_at": now,
            "updated_at": now,
        }
        values = select(*(literal(value, users.c[column].type) for column, value in row.items())).where(where)
        try:
            async with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    await connection.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
                done = await connection.execute(insert(users).from_select(list(row), values))
        except IntegrityError as error:
            raise Conflict(f"the e-mail address {email!r} is taken") from error
        return User(id=str(row["id"]), name=name, email=email.lower(), role=role) if done.rowcount else None

    async def get(self, user_id: str) -> User | None:
        return await self._one(users.c.id == user_id)

    async def named(self, user_ids: Collection[str]) -> list[User]:
        """Return the users among these ids that exist."""
        async with self._engine.connect() as connection:
            return [to_user(row) for row in await connection.execute(select(users).where(users.c.id.in_(user_ids)))]

    async def by_email(self, email: str) -> User | None:
        return await self._one(users.c.email == email.lower())

    async def first_admin(self) -> User | None:
        """Return the oldest administrator."""
        return await self._one(users.c.role == "admin")

    async def password_hash(self, user_id: str) -> str | None:
        async with self._engine.connect() as connection:
            found: str | None = await connection.scalar(select(users.c.password_hash).where(users.c.id == user_id))
            return found

    async def any_with_password(self) -> bool:
        async with self._engine.connect() as connection:
            query = select(users.c.id).where(users.c.password_hash.is_not(None)).limit(1)
            return await connection.scalar(query) is not None

    async def add_key(self, user_id: str, *, name: str, key: str | None = None) -> str:
        """Store a key (a new one unless given) and return it; it cannot be read again. Repeating it changes nothing."""
        key = key or KEY_PREFIX + secrets.token_hex(16)
        row = {
            "id": str(uuid.uuid4()),
            "user_id": user_id,
            "name": name,
            "key_hash": key_hash(key),
            "created_at": int(time.time()),
        }
        async with self._engine.begin() as connection:
            known = select(api_keys.c.user_id).where(api_keys.c.key_hash == row["key_hash"])
            owner = await connection.scalar(known)
            if owner is None:
                await connection.execute(insert(api_keys).values(row))
            elif owner != user_id:
                raise Conflict("this API key belongs to another user")
        return key

    async def by_key(self, key: str) -> User | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(BY_KEY, {"key_hash": key_hash(key)})).first()
        return to_user(row) if row else None

    async def _one(self, condition: Any) -> User | None:
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(select(users).where(condition).order_by(users.c.created_at).limit(1))
            ).first()
        return to_user(row) if row else None


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def to_user(row: Row[Any]) -> User:
    return User(id=row.id, name=row.name, email=row.email, role=row.role)
