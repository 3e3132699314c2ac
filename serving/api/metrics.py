"""Prometheus metrics of one process; every label has a bounded set of values."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.013, 0.02, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """Counters and histograms, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "tidegate_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "tidegate_request_seconds",
            "From the request's first byte in the app to its answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "tidegate_feed_stage_seconds",
            "Time in one stage of the feed.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.degraded = Counter(
            "tidegate_feed_degraded", "Answers less than they could be.", ["why"], registry=registry
        )
        self.nan_scores = Counter(
            "tidegate_nan_scores", "Candidates to which the model gave no score.", registry=registry
        )
        self.events = Counter("tidegate_events", "Events kept.", ["type"], registry=registry)
        self.bundle = Gauge(
            "tidegate_bundle", "1 for the bundle that serves.", ["version"], registry=registry
        )
