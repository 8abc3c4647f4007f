"""Studies, their pictures, readers, answers and log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("organiser", sa.String(256), nullable=False),
        sa.Column("audit", sa.Text, nullable=False),
    )
    op.create_table(
        "pictures",
        sa.Column("study", sa.String(8), sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("code", sa.String(8), primary_key=True),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("greys", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "readers",
        sa.Column("study", sa.String(8), sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("experience", sa.String(64), nullable=False),
        sa.Column("consented", sa.String(32), nullable=False),
        sa.Column("deleted", sa.String(32), nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("study", sa.String(8), sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("reader", sa.Integer, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("study", sa.String(8), nullable=False, index=True),
        sa.Column("reader", sa.Integer),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("events", "answers", "readers", "pictures", "studies"):
        op.drop_table(table)
