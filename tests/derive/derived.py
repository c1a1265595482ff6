"""A few judgements, items and types → what derive makes of them, in one call."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.derive.commands import options
from relevance.derive.derive import Derived, derive_pairs

TREE = {  # type: parent
    "shop": None,
    "home": "shop",
    "seating": "home",
    "sofas": "seating",
    "chairs": "seating",
    "audio": "shop",
    "players": "audio",
    "radios": "players",
    "tuners": "players",
}


def written(folder: Path, judged: list[tuple], items: dict[str, str | None], tree: dict[str, str | None]) -> list[str]:
    """The words of derive that name the files made of (query, item, label), {item: type} and {type: parent}."""
    columns = list(zip(*judged, strict=True)) if judged else [[], [], []]
    texts = [pa.array([str(value) for value in column], pa.string()) for column in columns]
    tables = {
        "judgements": pa.table(texts, ["query", "item_id", "label"]),
        "items": pa.table(
            {
                "item_id": pa.array(list(items), pa.string()),
                "title": pa.array([f"the {item}" for item in items], pa.string()),
                "product_type": pa.array(list(items.values()), pa.string()),
            }
        ),
        "taxonomy": pa.table(
            {"type": pa.array(list(tree), pa.string()), "parent": pa.array(list(tree.values()), pa.string())}
        ),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return [f"{name}={folder / name}.parquet" for name, table in tables.items() if len(table)]


def run(folder: Path, files: list[str], *words: str) -> tuple[Derived, list[dict]]:
    """What derive says it did, and the rows it wrote."""
    output = folder / "pairs.parquet"
    made = derive_pairs(options([*files, f"output={output}", *words]))
    return made, pq.read_table(output).to_pylist()


def labels(rows: list[dict], task: str) -> dict[tuple[str, str], int]:
    """(left id, right id): label of one task; the ids of a symmetric one in their order."""
    pairs = {}
    for row in rows:
        if row["task"] == task:
            sides = row["left_id"], row["right_id"]
            pairs[tuple(sorted(sides)) if task in ("item_item", "query_query", "type_type") else sides] = row["label"]
    return pairs


def record(folder: Path) -> dict:
    return json.loads((folder / "pairs.derive.json").read_text())
