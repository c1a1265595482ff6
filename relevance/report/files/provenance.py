"""A sweep and its matrices → provenance.json: what every number of the report can be walked back to."""

import json
from dataclasses import asdict

from relevance.records import CellRecord, SweepRecord
from relevance.report.matrix import Matrix
from relevance.tasks import TASK_NAMES


def provenance_json(sweep: SweepRecord, found: list[Matrix]) -> str:
    """provenance.json: what every number of the report can be walked back to. No clock, no path."""
    return (
        json.dumps(
            {
                "name": sweep.name,
                "sweeps": [asdict(run) for run in sweep.runs],
                "cells": [_origin(cell) for cell in sweep.cells],
                "data": {matrix.digest: _contents(matrix) for matrix in found},
            },
            indent=2,
            sort_keys=True,
            ensure_ascii=False,
        )
        + "\n"
    )


def _origin(cell: CellRecord) -> dict[str, object]:
    return {
        "cell": cell.cell,
        "run_id": cell.run_id,
        "status": cell.status,
        "fingerprint": cell.fingerprint,
        "data_digest": cell.data_digest,
        "backbone": cell.backbone,
        "revision": cell.revision,
        "git_sha": cell.git_sha,
        "dirty": cell.dirty,
        "versions": cell.versions,
    }


def _contents(matrix: Matrix) -> dict[str, object]:
    tested = {task: int(n) for task, n in zip(TASK_NAMES, matrix.n, strict=True) if n}
    return {"rows": matrix.sizes, "test_rows": tested, "quarantined": matrix.set_aside}
