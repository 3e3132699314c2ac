"""Controls that operators lay upon the feed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the table and its counter."""
    op.create_table(
        "feed_controls",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=320), nullable=False),
        sa.Column("surface", sa.String(length=128), nullable=False),
        sa.Column("region", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "kind", "target", "surface", "region", name=op.f("pk_feed_controls")
        ),
        sa.UniqueConstraint("sequence", name=op.f("uq_feed_controls_sequence")),
    )
    table = sa.table("sequences", sa.column("name"), sa.column("value"))
    op.bulk_insert(table, [{"name": "controls", "value": 0}])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("feed_controls")
    op.execute("delete from sequences where name = 'controls'")
