"""One receipt a subject, which names the user while the erasure is under way."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLE, UNIQUE = "erasure_receipts", "uq_erasure_receipts_subject_mac"
INDEX = "ix_erasure_receipts_subject_mac"


def upgrade() -> None:
    """Add the name and the end; no receipt of two of the same subject was ever written."""
    with op.batch_alter_table(TABLE) as change:
        change.add_column(sa.Column("user_id", sa.String(length=128), nullable=True))
        change.add_column(sa.Column("erased_at_ms", sa.BigInteger(), nullable=True))
        change.drop_index(INDEX)
        change.create_unique_constraint(UNIQUE, ["subject_mac"])


def downgrade() -> None:
    """Forget what is under way."""
    with op.batch_alter_table(TABLE) as change:
        change.drop_constraint(UNIQUE, type_="unique")
        change.create_index(INDEX, ["subject_mac"])
        change.drop_column("erased_at_ms")
        change.drop_column("user_id")
