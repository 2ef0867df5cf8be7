"""what documents say of themselves, passwords of documents, and how the files of a collection are read and cut"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("document", sa.JSON(), nullable=True))
    op.add_column("files", sa.Column("password", sa.Text(), nullable=True))
    op.add_column("collections", sa.Column("options", sa.JSON(), nullable=True))
