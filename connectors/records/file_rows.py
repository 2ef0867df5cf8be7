"""Rows of files: what one has that waits, and what it is outside the database."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Row

from ragline.types import FileRecord, Status

QUEUED: dict[str, Any] = {
    "status": Status.PENDING.value,
    "stage": "queued",
    "progress": 0.0,
    "lease": None,
    "lease_until": 0.0,
}
"""What a file has that waits."""

FRESH: dict[str, Any] = QUEUED | {
    "error": None,
    "failure": None,
    "attempts": 0,
    "interruptions": 0,
    "not_before": 0.0,
}
"""What a file has that waits for its first try."""


def new_id() -> str:
    return str(uuid.uuid4())


def to_file(row: Row[Any]) -> FileRecord:
    return FileRecord(
        id=row.id,
        user_id=row.user_id,
        filename=row.filename,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        blob=row.blob,
        version=row.version,
        status=Status(row.status),
        stage=row.stage,
        progress=row.progress,
        error=row.error,
        failure=row.failure,
        chunk_count=row.chunk_count,
        flow_run_id=row.flow_run_id,
        metadata=row.metadata,
        attempts=row.attempts,
        interruptions=row.interruptions,
        queued_at=row.queued_at,
        untidy=row.untidy,
        created_at=row.created_at,
        updated_at=row.updated_at,
        edited=row.edited,
        document=row.document or {},
        password=row.password,
    )
