"""Inserts that may meet a row that is there already: each database has its own."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine


def upsert(engine: AsyncEngine, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert for this database, to be completed by `on_conflict_do_…`."""
    return sqlite.insert(table) if engine.dialect.name == "sqlite" else postgresql.insert(table)
