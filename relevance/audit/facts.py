"""A table of pairs → every number of its audit, as plain data with stable keys: what audit.json holds.

{"rows": {"sound": 19457, "set_aside": 0, ...}, "labels": {"query_item": {"train": [966, 983, 1095], ...}}, ...}
"""

from relevance.audit import match as matching
from relevance.audit.baseline import MOST, SEED, baseline
from relevance.audit.copies import copies, elsewhere, shared_texts
from relevance.audit.counts import PERCENTILES, labels, lengths, sources
from relevance.audit.judged import judged, ordered_by
from relevance.audit.leaks import leaks
from relevance.audit.opened import Opened
from relevance.data.faults import LISTED, faulty


def facts(found: Opened) -> dict:
    """The audit of a table; the same rows give the same numbers."""
    match = matching.of(found.keys)
    return {
        "file": found.name,
        "rows": _rows(found),
        "split": {"given": not found.divided, "divided": found.divided or None},
        "labels": labels(found),
        "sources": sources(found),
        "copies": copies(found, match),
        "shared_texts": shared_texts(found, match),
        "leaks": leaks(found.keys, found.where("train"), found.where("test"), match).shares(),
        "elsewhere": elsewhere(found, match),
        "lengths": {"percentiles": list(PERCENTILES), "tasks": lengths(found)},
        "baseline": {"most": MOST, "seed": SEED, "tasks": baseline(found)},
        "agreement": {"order": ordered_by(found), "tasks": judged(found)},
    }


def _rows(found: Opened) -> dict:
    reasons = [
        {"problem": one.problem, "remedy": one.remedy, "rows": len(one.rows), "first": one.rows[:LISTED].tolist()}
        for one in found.faults
    ]
    aside = len(faulty(found.faults))
    sound = len(found.rows)
    return {
        "read": sound + aside,
        "sound": sound,
        "set_aside": aside,
        "reasons": reasons,
        "counted": found.counted,
    }
