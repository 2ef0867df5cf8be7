"""texts that somebody wrote in place of what was read from a file"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("edited", sa.String(length=100), nullable=True))
