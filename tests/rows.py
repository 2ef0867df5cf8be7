"""Rows for tests of the records: users and files that have nothing special about them."""

from __future__ import annotations

from ragline.connectors.records.store import Records
from ragline.connectors.records.usage import Room
from ragline.types import FileRecord, Role, User


async def user(records: Records, name: str = "ada", role: Role = "user") -> User:
    return await records.users.add(name=name, email=f"{name}@example.org", role=role, password_hash=None)


async def file(records: Records, owner: User, file_id: str, size: int = 10, room: Room | None = None) -> FileRecord:
    return await records.files.add(
        file_id=file_id,
        user_id=owner.id,
        filename=f"{file_id}.txt",
        content_type="text/plain",
        size_bytes=size,
        sha256="0" * 64,
        blob=f"files/{file_id}",
        metadata={},
        room=room,
    )
