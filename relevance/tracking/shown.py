"""Which numbers of a cell its run in MLflow shows, and how they are read again.

test/accuracy, seconds → metrics; params/trainable, test/query_item/n → params; probe/…, gate/… → its record.jsonl alone
"""

import re

from relevance.tracking.records import RunData

COUNT = re.compile(r"params/.+|.+/n|train/rows|epochs")
INNER = re.compile(r"probe/.+|gate/.+|peak_memory_bytes|truncated_share")  # what the report alone asks for


def shown(metrics: dict[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics and the params that MLflow has of what a cell logged."""
    counts = {key: f"{value:.0f}" for key, value in metrics.items() if COUNT.fullmatch(key)}
    return {key: metrics[key] for key in metrics if key not in counts and not INNER.fullmatch(key)}, counts


def numbers(data: RunData) -> dict[str, float]:
    """Metrics and counts of a run; of an old one every count is a metric."""
    return {key: float(value) for key, value in data.params.items() if COUNT.fullmatch(key)} | data.metrics
