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
        self._of_moderation(registry)
        self.rules = Gauge(
            "tidegate_feed_rules", "1 for the rules that hold.", ["version"], registry=registry
        )
        self.rules_refused = Counter(
            "tidegate_feed_rules_refused", "Changed rules that were refused.", registry=registry
        )
        self.bundle = Gauge(
            "tidegate_bundle", "1 for the bundle that serves.", ["version"], registry=registry
        )

    def _of_moderation(self, registry: CollectorRegistry) -> None:
        self.certificates_revoked = Counter(
            "tidegate_certificates_revoked",
            "Certificates that audits spoke against.",
            registry=registry,
        )
        self.rule_packs_refused = Gauge(
            "tidegate_rule_packs_refused",
            "Rule packs whose new file is refused.",
            registry=registry,
        )
        self.checks = Counter(
            "tidegate_checks",
            "Items judged, by what was suggested.",
            ["suggestion"],
            registry=registry,
        )
        self.check_seconds = Histogram(
            "tidegate_check_seconds",
            "From an item's change to what its verdict did.",
            buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
            registry=registry,
        )
        self.checks_waiting = Gauge(
            "tidegate_checks_waiting", "Items that wait.", ["urgency"], registry=registry
        )
        self.checks_oldest = Gauge(
            "tidegate_checks_oldest_seconds",
            "How long the oldest new version has waited.",
            registry=registry,
        )
