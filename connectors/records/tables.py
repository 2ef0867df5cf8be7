"""The tables of the records. Ids are UUID strings, times are Unix seconds."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("email", String(320), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("role", String(10), nullable=False),
    Column("password_hash", String(200)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("filename", Text, nullable=False),
    Column("content_type", String(200), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("blob", String(100), nullable=False),
    Column("version", String(36)),
    Column("status", String(12), nullable=False),
    Column("stage", String(12), nullable=False),
    Column("progress", Float, nullable=False),
    Column("error", Text),
    Column("failure", String(12)),
    Column("chunk_count", Integer, nullable=False),
    Column("flow_run_id", String(36)),
    Column("metadata", JSON, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("queued_at", Float, nullable=False),
    Column("not_before", Float, nullable=False),
    Column("lease", String(300)),
    Column("lease_until", Float, nullable=False),
    Column("untidy", Integer, nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_files_status_queued_at", "status", "queued_at"),
)
"""`blob` names the bytes last taken in, `version` the passages that answer (null: none do yet). `untidy` above 0: what
the vector store says of the file (collections, name, older versions) is still to be brought in line with this row."""

removals = Table(
    "removals",
    metadata,
    Column("file_id", String(36), primary_key=True),
    Column("blobs", JSON, nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Files that are gone and whose vectors and bytes may not be. Until `lease_until` somebody may still write for them."""

collections = Table(
    "collections",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

directories = Table(
    "directories",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("parent_id", ForeignKey("directories.id", ondelete="CASCADE"), index=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("file_id", ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("directory_id", ForeignKey("directories.id", ondelete="SET NULL"), index=True),
    Column("created_at", BigInteger, nullable=False),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("model_id", String(100), primary_key=True),
    Column("text_sha256", String(64), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)
"""What was embedded once: `vector` holds little-endian float32."""

text_uses = Table(
    "text_uses",
    metadata,
    Column("file_id", String(36), primary_key=True),
    Column("version", String(36), primary_key=True),
    Column("model_id", String(100), primary_key=True),
    Column("text_sha256", String(64), primary_key=True, index=True),
)
"""Which version of which file needs which embedding: one that nothing needs is deleted."""

sources = Table(
    "sources",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("fingerprint", Text),
    Column("lease", String(300)),
    Column("lease_until", Float, nullable=False),
    Column("synced_at", BigInteger),
    Column("error", Text),
)

entries = Table(
    "entries",
    metadata,
    Column("source", ForeignKey("sources.name", ondelete="CASCADE"), primary_key=True),
    Column("path_sha256", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("tag", Text),
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("file_id", ForeignKey("files.id", ondelete="SET NULL"), index=True),
    Column("error", Text),
    Column("updated_at", BigInteger, nullable=False),
)
"""What a source had at its last sync. `error`: why a document could not be taken; a changed one is tried again."""
