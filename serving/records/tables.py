"""The relational tables, one definition for SQLite and PostgreSQL; migrations follow it."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The counters behind every sequenced table. A row lock held until the commit makes the order of
# numbers the order of commits, which a database sequence does not promise.
sequences = Table(
    "sequences",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("item_id", String(128), primary_key=True),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("content_version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("creator_id", String(128), nullable=False, index=True),
    Column("shop_id", String(128)),
    Column("shop_grade", String(1)),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("language", String(32)),
    Column("regions", JSON, nullable=False),
    Column("price", Float),
    Column("list_price", Float),
    Column("currency", String(3)),
    Column("product_ids", JSON, nullable=False),
    Column("duration_ms", BigInteger),
    Column("media", JSON, nullable=False),
    Column("audience", String(16), nullable=False),
    Column("published_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("in_stock", Boolean),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("deleted_at_ms", BigInteger),
)

prices = Table(
    "prices",
    metadata,
    Column("item_id", ForeignKey("items.item_id"), primary_key=True),
    Column("content_version", Integer, primary_key=True),
    Column("price", Float),
    Column("list_price", Float),
    Column("currency", String(3)),
    Column("at_ms", BigInteger, nullable=False),
)

media = Table(
    "media",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("mime", String(100), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

creators = Table(
    "creators",
    metadata,
    Column("creator_id", String(128), primary_key=True),
    Column("suspended", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

visibility = Table(
    "visibility",
    metadata,
    Column("subject", String(160), primary_key=True),
    Column("region", String(8), primary_key=True),
    Column("audience", String(16), primary_key=True),
    Column("decided", Boolean, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("content_version", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("at_ms", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", String(160), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("user_id", String(128), primary_key=True),
    Column("region", String(8)),
    Column("language", String(32)),
    Column("birth_year", Integer),
    Column("time_zone", String(64)),
    Column("consents", JSON, nullable=False),
    Column("personalised", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

blocks = Table(
    "blocks",
    metadata,
    Column("user_id", ForeignKey("users.user_id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("value", String(300), primary_key=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("principal", String(128), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("salt", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("rate_per_s", Float, nullable=False),
    Column("burst", Float, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("detail", Text, nullable=False),
    Column("mac", String(64), nullable=False),
    Index("ix_audit_subject", "subject"),
)

feed_controls = Table(
    "feed_controls",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("target", String(320), primary_key=True),
    Column("surface", String(128), primary_key=True),
    Column("region", String(16), primary_key=True),
    Column("value", Float, nullable=False),
    Column("until_ms", BigInteger),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("at_ms", BigInteger, nullable=False),
)

bundle_pointers = Table(
    "bundle_pointers",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("version", String(128), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_bundle_pointers_kind", "kind", "sequence"),
)

erasure_receipts = Table(
    "erasure_receipts",
    metadata,
    Column("receipt_id", String(32), primary_key=True),
    Column("subject_mac", String(64), nullable=False, unique=True),
    Column("requested_at_ms", BigInteger, nullable=False),
    Column("stores", JSON, nullable=False),
    Column("model", String(16), nullable=False),
    Column("user_id", String(128)),
    Column("erased_at_ms", BigInteger),
)

do_not_train = Table(
    "do_not_train",
    metadata,
    Column("subject_mac", String(64), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
)

# The current version of each item before the machine's check: what is waiting is the work list.
checks = Table(
    "checks",
    metadata,
    Column("item_id", String(128), primary_key=True),
    Column("content_version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("background", Boolean, nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fault", Text),
    Column("suggestion", String(16)),
    Column("verdict", JSON),
    Column("checked_at_ms", BigInteger),
    Index("ix_checks_state", "state", "background", "due_at_ms"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("certificate_id", String(32), primary_key=True),
    Column("side", String(8), nullable=False),
    Column("label", String(64), nullable=False),
    Column("region", String(8), nullable=False),
    Column("model", String(128), nullable=False),
    Column("policy", String(64), nullable=False),
    Column("threshold", Float, nullable=False),
    Column("risk", Float, nullable=False),
    Column("delta", Float, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("bound", Float, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
    Column("revoked_because", Text),
)

audits = Table(
    "audits",
    metadata,
    Column("audit_id", String(32), primary_key=True),
    Column("item_id", String(128), nullable=False),
    Column("content_version", Integer, nullable=False),
    Column("region", String(8), nullable=False),
    Column("model", String(128), nullable=False),
    Column("policy", String(64), nullable=False),
    Column("margin", Float, nullable=False),
    Column("scores", JSON, nullable=False),
    Column("drawn_at_ms", BigInteger, nullable=False),
    Column("answered_at_ms", BigInteger),
    Column("violations", JSON),
    Index("ix_audits_drawn_at_ms", "drawn_at_ms"),
)

bank_entries = Table(
    "bank_entries",
    metadata,
    Column("entry_id", String(32), primary_key=True),
    Column("bank", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("fingerprint", JSON, nullable=False),
    Column("label", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("removed_at_ms", BigInteger),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked", JSON, nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("delivery", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_jobs_state", "state", "due_at_ms"),
)

job_rows = Table(
    "job_rows",
    metadata,
    Column("job_id", ForeignKey("jobs.job_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content", JSON, nullable=False),
    Column("result", JSON),
)
