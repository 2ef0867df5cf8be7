"""the durable queue, removals, directories, uses of embeddings, sources"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    grow_files()
    op.create_table(
        "removals",
        sa.Column("file_id", sa.String(length=36), nullable=False),
        sa.Column("blobs", sa.JSON(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_removals")),
    )
    add_directories()
    op.create_table(
        "text_uses",
        sa.Column("file_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.String(length=36), nullable=False),
        sa.Column("model_id", sa.String(length=100), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "version", "model_id", "text_sha256", name=op.f("pk_text_uses")),
    )
    op.create_index(op.f("ix_text_uses_text_sha256"), "text_uses", ["text_sha256"])
    add_sources()


def grow_files() -> None:
    """Add the columns. Files that are in are ingested again, from the cache: their versions were not written down."""
    for column in (
        sa.Column("blob", sa.String(length=100), nullable=False, server_default=""),
        sa.Column("version", sa.String(length=36), nullable=True),
        sa.Column("failure", sa.String(length=12), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("interruptions", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("queued_at", sa.Float(), nullable=False, server_default="0"),
        sa.Column("not_before", sa.Float(), nullable=False, server_default="0"),
        sa.Column("lease", sa.String(length=300), nullable=True),
        sa.Column("untidy", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("files", column)
    op.execute("UPDATE files SET blob = 'files/' || id, queued_at = created_at")
    op.execute("UPDATE files SET failure = 'permanent' WHERE status = 'failed'")
    op.execute("UPDATE files SET status = 'pending', stage = 'queued', progress = 0 WHERE status <> 'failed'")
    op.drop_index("ix_files_status_created_at", "files")
    op.create_index("ix_files_status_queued_at", "files", ["status", "queued_at"])
    op.create_index(op.f("ix_files_untidy"), "files", ["untidy"])
    op.drop_column("files", "lease_owner")


def add_directories() -> None:
    op.create_table(
        "directories",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("collection_id", sa.String(length=36), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name=op.f("fk_directories_collection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["directories.id"], name=op.f("fk_directories_parent_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directories")),
    )
    op.create_index(op.f("ix_directories_collection_id"), "directories", ["collection_id"])
    op.create_index(op.f("ix_directories_parent_id"), "directories", ["parent_id"])
    with op.batch_alter_table("memberships") as memberships:
        memberships.add_column(sa.Column("directory_id", sa.String(length=36), nullable=True))
        memberships.create_foreign_key(
            op.f("fk_memberships_directory_id"), "directories", ["directory_id"], ["id"], ondelete="SET NULL"
        )
        memberships.create_index(op.f("ix_memberships_directory_id"), ["directory_id"])


def add_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("lease", sa.String(length=300), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("synced_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_table(
        "entries",
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("path_sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("file_id", sa.String(length=36), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_entries_file_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["source"], ["sources.name"], name=op.f("fk_entries_source"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("source", "path_sha256", name=op.f("pk_entries")),
    )
    op.create_index(op.f("ix_entries_file_id"), "entries", ["file_id"])
