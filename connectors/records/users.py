"""Users and their sessions."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, insert, literal, select, text, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragline.connectors.records.members import folded
from ragline.connectors.records.rights import known_users
from ragline.connectors.records.tables import collections, files, grants, revoked_sessions, users
from ragline.errors import Conflict, NotFound
from ragline.types import Account, Role, User

ACTIVE_S = 300.0
"""How exactly the last activity of a user is known: it is not written down at each request."""

LOCK = text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
"""For PostgreSQL: until the end of the transaction nobody else changes users, or adds something of theirs."""

SOME = 500
"""Files, and collections, that are named at a time."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """Ids of files and collections that are a user's."""

    file_ids: list[str]
    collection_ids: list[str]


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
            "session_stamp": 0,
            "last_active_at": now,
            "created_at": now,
            "updated_at": now,
        }
        values = select(*(literal(value, users.c[column].type) for column, value in row.items())).where(where)
        try:
            async with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    await connection.execute(LOCK)
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

    async def page(self, *, query: str = "", limit: int, offset: int) -> tuple[list[Account], int]:
        """Return a page of the accounts, the oldest first, and how many there are.

        `query`: only those whose name or e-mail address contains it, whatever the case and the accents of both.
        """
        everybody = select(users).order_by(users.c.created_at, users.c.id)
        async with self._engine.connect() as connection:
            if query:
                rows = (await connection.execute(everybody)).all()
                found = await asyncio.to_thread(like, rows, query)
                return [to_account(row) for row in found[offset : offset + limit]], len(found)
            total = await connection.scalar(select(func.count()).select_from(users))
            some = await connection.execute(everybody.limit(limit).offset(offset))
            return [to_account(row) for row in some], int(total or 0)

    async def account(self, user_id: str) -> Account:
        """Raises NotFound."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(users).where(users.c.id == user_id))).first()
        if row is None:
            raise NotFound(f"no user {user_id!r}")
        return to_account(row)

    async def acquainted(self, user_id: str, asker: User) -> User:
        """Return a user if the asker may know of them. Raises NotFound, the same for a hidden one as for none."""
        found = await self._one(and_(users.c.id == user_id, known_users(asker)))
        if found is None:
            raise NotFound(f"no user {user_id!r}")
        return found

    async def change(
        self,
        user_id: str,
        *,
        name: str | None = None,
        email: str | None = None,
        role: Role | None = None,
        password_hash: str | None = None,
    ) -> None:
        """Change what is given. A new role or password ends the user's sessions.

        Raises NotFound; Conflict where the address is taken, or the last administrator would be none any more.
        """
        given = {"name": name, "email": email and email.lower(), "role": role, "password_hash": password_hash}
        values: dict[str, object] = {key: value for key, value in given.items() if value is not None}
        now = int(time.time())
        try:
            async with self._engine.begin() as connection:
                before = await self._locked(connection, user_id)
                if before.role == "admin" and role not in (None, "admin"):
                    await self._check_other_admin(connection, user_id)
                if password_hash is not None or role not in (None, before.role):
                    values["session_stamp"] = users.c.session_stamp + 1
                await connection.execute(update(users).where(users.c.id == user_id).values(updated_at=now, **values))
        except IntegrityError as error:
            raise Conflict(f"the e-mail address {email!r} is taken") from error

    async def belongings(self, user_id: str) -> Belongings:
        """Return up to 500 files and up to 500 collections of a user."""
        async with self._engine.connect() as connection:
            file_ids = await connection.scalars(select(files.c.id).where(files.c.user_id == user_id).limit(SOME))
            mine = select(collections.c.id).where(collections.c.user_id == user_id).limit(SOME)
            return Belongings(list(file_ids), list(await connection.scalars(mine)))

    async def delete(self, user_id: str) -> bool:
        """Delete a user with their keys and rights; False, and nothing is deleted, while files or collections are left.

        Raises NotFound; Conflict for the last administrator.
        """
        left = [select(table.c.id).where(table.c.user_id == user_id).limit(1) for table in (files, collections)]
        async with self._engine.begin() as connection:
            before = await self._locked(connection, user_id)
            if before.role == "admin":
                await self._check_other_admin(connection, user_id)
            if [query for query in left if await connection.scalar(query) is not None]:
                return False
            await connection.execute(delete(grants).where(grants.c.user_id == user_id))
            await connection.execute(delete(users).where(users.c.id == user_id))
        return True

    async def in_session(self, user_id: str, *, jti: str, stamp: int) -> User | None:
        """Return the user of a session token, None where there is none or the session was ended."""
        revoked = select(revoked_sessions.c.jti).where(revoked_sessions.c.jti == jti).exists()
        query = select(users, revoked.label("revoked")).where(users.c.id == user_id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None or row.revoked or stamp != row.session_stamp:
            return None
        now = int(time.time())
        if now - row.last_active_at > ACTIVE_S:
            async with self._engine.begin() as connection:
                await connection.execute(update(users).where(users.c.id == user_id).values(last_active_at=now))
        return to_user(row)

    async def end_session(self, jti: str, *, expires_at: int) -> None:
        """Make a session token worthless, for ever. Repeating it changes nothing."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(revoked_sessions).where(revoked_sessions.c.expires_at < int(time.time())))
            with suppress(IntegrityError):
                async with connection.begin_nested():
                    await connection.execute(insert(revoked_sessions).values(jti=jti, expires_at=expires_at))

    async def _locked(self, connection: AsyncConnection, user_id: str) -> Row[Any]:
        """Return the user. Until the end of the transaction nobody else changes users, or adds something of theirs."""
        if connection.dialect.name == "postgresql":
            await connection.execute(LOCK)
        else:  # a write locks SQLite; a read would not
            await connection.execute(update(users).where(users.c.id == user_id).values(role=users.c.role))
        row = (await connection.execute(select(users).where(users.c.id == user_id).with_for_update())).first()
        if row is None:
            raise NotFound(f"no user {user_id!r}")
        return row

    async def _check_other_admin(self, connection: AsyncConnection, user_id: str) -> None:
        others = select(users.c.id).where(users.c.role == "admin", users.c.id != user_id).limit(1)
        if await connection.scalar(others) is None:
            raise Conflict("this is the last administrator: make another one first")

    async def _one(self, condition: Any) -> User | None:
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(select(users).where(condition).order_by(users.c.created_at).limit(1))
            ).first()
        return to_user(row) if row else None


def like(rows: Sequence[Row[Any]], query: str) -> list[Row[Any]]:
    """Return the users whose name or e-mail address contains the query."""
    wanted = folded(query)
    return [row for row in rows if wanted in folded(f"{row.name}\n{row.email}")]


def to_user(row: Row[Any]) -> User:
    return User(id=row.id, name=row.name, email=row.email, role=row.role, session_stamp=row.session_stamp)


def to_account(row: Row[Any]) -> Account:
    return Account(to_user(row), row.created_at, row.updated_at, row.last_active_at)
