"""What the ranker predicts: one probability per task, and the expected watch ratio."""

TASKS = (
    "long_view",  # completed, or watched for long
    "click",
    "like",
    "comment",
    "share",
    "follow",
    "click_product",
    "purchase",
    "negative",  # skipped at once, not interested, reported
)
WATCH_RATIO = "watch_ratio"
PREDICTIONS = (*TASKS, WATCH_RATIO)
