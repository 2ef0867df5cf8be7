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
    Column("session_stamp", Integer, nullable=False),
    Column("last_active_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""Session tokens with another `session_stamp` are not valid any more."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("hint", String(20), nullable=False),
    Column("routes", JSON),
    Column("collections", JSON),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
)
"""`routes`: prefixes of paths, `collections`: ids; null is no limit."""

revoked_sessions = Table(
    "revoked_sessions",
    metadata,
    Column("jti", String(36), primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Session tokens whose users signed out, until they would have expired."""

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
    Column("edited", String(100)),
    Column("document", JSON),
    Column("password", Text),
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
"""`blob` names the bytes last taken in, `version` the passages that answer (null: none do yet), `edited`
a text that somebody wrote in place of what was read from the bytes. `untidy` above 0: what the vector store says of the
file (collections, name, older versions) is still to be brought in line with this row. `document` is what was read
beside the text, `password` opens the document and is sealed."""

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
    Column("options", JSON),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("user_id", String(36), nullable=False, index=True),
    Column("permission", String(5), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""`user_id` may be `*`, everybody, so it is no foreign key."""

usage = Table(
    "usage",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("tokens", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
)
"""What users had models do, by day since 1970-01-01 UTC."""

events = Table(
    "events",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", Float, nullable=False, index=True),
    Column("user_id", String(36), index=True),
    Column("key_id", String(36)),
    Column("address", String(45)),
    Column("method", String(8), nullable=False),
    Column("path", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("details", JSON),
)
"""Who did what, without contents; users and keys may be gone since."""

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

facts = Table(
    "facts",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""What holds for the whole installation, such as the model that its passages were embedded with."""

calibrations = Table(
    "calibrations",
    metadata,
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", String(100), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""How a collection is searched best with an embedding model, found by questions made from its own passages."""
