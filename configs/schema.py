"""Every setting, frozen and checked; what reads the files is ``configs.load``."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSection(Section):
    """Where the server listens and what it accepts."""

    address: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)  # 0 = any free port (uvicorn only)
    body_limit_bytes: int = Field(
        default=2 << 20, ge=1_024
    )  # a full batch of events has about 0.6 MB
    future_limit_s: int = Field(default=300, ge=0)  # clock skew of devices that report events
    past_limit_s: int = Field(default=315_360_000, ge=0)  # older: a clock that was reset


class StateSection(Section):
    """Online state: servers of the Redis protocol."""

    url: str | None = None  # events; None = our own two embedded servers under `folder`
    live_url: str | None = None  # pages and visibility; None = the server of `url`
    folder: Path = Path("var/state")
    port: int = Field(default=0, ge=0, le=65_535)  # of the embedded server of events; 0 = any
    live_port: int = Field(default=0, ge=0, le=65_535)  # of the other one; 0 = any
    reserve_bytes: int = Field(default=64 << 20, ge=0)  # free on the disk of `folder`, else 507
    read_timeout_ms: int = Field(default=50, ge=1)  # a feed rather answers without state than late
    write_timeout_ms: int = Field(default=2_000, ge=1)


class RecordsSection(Section):
    """Records: catalogue, users, visibility, keys, audit."""

    url: str | None = None  # postgresql://…; None = SQLite under `folder`
    folder: Path = Path("var/records")
    secrets: Path = Path("var/secrets")  # keys of the audit chain and of people's ids


class MediaSection(Section):
    """Uploaded files, named by the sha256 of their bytes."""

    folder: Path = Path("var/media")
    limit_bytes: int = Field(default=32 << 20, ge=1_024)  # of one file


class CatalogueSection(Section):
    """How items enter the feed."""

    publish: Literal["auto", "before_check", "after_check"] = "auto"  # auto: where a check runs
    poll_ms: int = Field(default=250, ge=10)  # how often a replica asks for changes


class ModerationSection(Section):
    """What moderation may reach, and how much one request may send."""

    body_limit_bytes: int = Field(default=28 << 20, ge=1_024)  # 20 MiB of pictures in base64
    fetch_hosts: tuple[str, ...] = ()  # of pictures given by address
    webhook_hosts: tuple[str, ...] = ()  # host or host:port that jobs may tell of their end
    fetch_limit_s: float = Field(default=8.0, gt=0, le=60)


class LogSection(Section):
    """Access log: JSON lines without user ids, one file per process, the older one kept."""

    folder: Path = Path("var/log/access")
    file_limit_bytes: int = Field(default=64 << 20, ge=4_096)


class ArchiveSection(Section):
    """The archive of all events and served pages; one archiver works for every launcher."""

    location: str = "var/log/events"  # a folder, or a URL that fsspec knows (s3://bucket/log)
    interval_s: float = Field(default=5.0, gt=0, le=600)  # between looks at the stream


class RaySection(Section):
    """Ray Serve; the ports are those that Ray itself opens on all interfaces."""

    replicas: int = Field(default=1, ge=1)  # of feeds: cores - 1, the proxy and Ray need one
    event_replicas: int = Field(default=1, ge=1)  # of events
    other_replicas: int = Field(default=1, ge=1)  # of everything else
    replica_ongoing_limit: int = Field(default=64, ge=1)  # requests at once in one replica
    object_store_bytes: int = Field(
        default=80_000_000, ge=80_000_000
    )  # Ray's least; we move no objects
    stats_port: int = Field(default=8_404, ge=1, le=65_535)
    metrics_port: int = Field(default=9_101, ge=1, le=65_535)
    replica_first_port: int = Field(default=30_000, ge=1_024, le=64_535)  # and the 1,000 above


class InternalSection(Section):
    """Probes and metrics of each process, without keys."""

    address: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_000)  # of process 0, the others above; 0 = any free


class AdmissionSection(Section):
    """Overload: the queue of feed requests in one process."""

    queue: int = Field(default=48, ge=1)  # let in and not answered; then 503
    fewer_from: float = Field(default=0.5, ge=0, le=1)  # share of it: a fifth of the candidates
    popular_from: float = Field(default=0.75, ge=0, le=1)  # share of it: what is popular


class AccessSection(Section):
    """API keys."""

    required: bool = False  # only on loopback may it stay off


class SwapSection(Section):
    """Hot swap of bundles."""

    staging_limit_s: float = Field(default=120, gt=0)  # of all replicas; then nothing is activated


class TrendsSection(Section):
    """What is counted of items, for trends and for the ranker."""

    interval_s: float = Field(default=5.0, ge=0.5, le=600)  # between two readings of the counts


class ServingConfig(Section):
    """``configs/serving.yaml``."""

    http: HttpSection = HttpSection()
    state: StateSection = StateSection()
    archive: ArchiveSection = ArchiveSection()
    records: RecordsSection = RecordsSection()
    media: MediaSection = MediaSection()
    catalogue: CatalogueSection = CatalogueSection()
    moderation: ModerationSection = ModerationSection()
    log: LogSection = LogSection()
    ray: RaySection = RaySection()
    internal: InternalSection = InternalSection()
    admission: AdmissionSection = AdmissionSection()
    access: AccessSection = AccessSection()
    swap: SwapSection = SwapSection()
    trends: TrendsSection = TrendsSection()
    bundles: Path = Path("var/bundles")
    feeds: Path = Path("configs/feeds")
    calendar: Path = Path("configs/calendar.yaml")
    exposure: Path = Path("configs/exposure.yaml")
    policies: Path = Path("configs/policies")


class TowersSection(Section):
    """Shape of the two towers."""

    dimensions: int = Field(default=64, ge=1, le=1024)  # learned coordinates
    history_length: int = Field(default=100, ge=1, le=4096)  # distinct items the user tower reads
    temperature: float | None = Field(default=None, gt=0)  # unit-length coordinates divided by it
    dropout: float = Field(default=0.2, ge=0, lt=1)  # of the learned user coordinates
    id_dropout: float = Field(default=0.1, ge=0, lt=1)  # share of items read by content alone
    content_gain: float = Field(default=0.3, ge=0)  # of an unknown item's taste coordinates


class LinearSection(Section):
    """Item-item factors as further coordinates."""

    kind: Literal["none", "ease", "transitions"] = "none"
    dimensions: int = Field(default=256, ge=1, le=2048)
    l2: float = Field(default=300.0, gt=0)  # of EASE
    decay: float = Field(default=0.0, ge=0)  # power of recency among the positives read
    identity: float = Field(default=0.0, ge=0)  # weight of single items when factorising
    popularity_power: float = Field(default=0.0, ge=0, le=1)
    gains: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # tried on validation users


class FitSection(Section):
    """How the towers are fitted."""

    objective: Literal["completion", "next"] = "completion"
    read_share: tuple[float, float] = (0.2, 1.0)  # completion: share of a user's events read
    window: int = Field(default=3, ge=1)  # next: positives predicted after a moment
    other_weight: float = Field(default=1.5, ge=0)  # events that are not positives to come
    epochs: int = Field(default=14, ge=1)
    evaluate_every: int = Field(default=2, ge=1)  # epochs
    metric: str = "recall@50"  # what the best epoch and gain are chosen by
    batch_size: int = Field(default=256, ge=1)
    learning_rate: float = Field(default=9e-3, gt=0)
    weight_decay: float = Field(default=0.3, ge=0)  # of embeddings
    uniform_negatives: int = Field(default=2048, ge=1)  # above 20,000 items


class TwoTowerConfig(Section):
    """``configs/two_tower/*.yaml``."""

    towers: TowersSection = TowersSection()
    linear: LinearSection = LinearSection()
    fit: FitSection = FitSection()
