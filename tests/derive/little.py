"""A shop of four items, three queries and five types in files of any kind, and what derive reads of them."""

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.config import OnBadRow
from relevance.data.database import opened
from relevance.derive.commands import options
from relevance.derive.quarantine import Quarantine
from relevance.derive.world import load_world

JUDGEMENTS = (
    "query,item_id,label\nred chair,i1,2\nred chair,i2,1\nblue table,i3,2\nblue table,i1,0\nlamp,i2,2\nlamp,i4,2\n"
)
ITEMS = "item_id,title,product_type\ni1,Red chair,Chairs\ni2,Oak chair,Chairs\ni3,Blue table,Tables\ni4,Lamp,Lamps\n"
TREE = "type,parent\nFurniture,\nChairs,Furniture\nTables,Furniture\nLighting,\nLamps,Lighting\n"
Content = str | bytes | list | dict | pa.Table


@dataclass(frozen=True)
class Read:
    """What the inputs gave."""

    counts: dict[str, int]
    faults: list[dict[str, object]]
    rows: list[list[tuple]]  # of each query that was asked
    aside: list[dict[str, str]]  # rows of the quarantine


def put(path: Path, content: Content) -> Path:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), newline="")
    return path


def zipped(files: dict[str, str | bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def shop(folder: Path, **given: Content | tuple[str, Content] | None) -> list[str]:
    """The words that name the shop's files: csv, or (kind, content); None leaves one out."""
    folder.mkdir(exist_ok=True)
    words = [f"output={folder / 'pairs.parquet'}"]
    for setting, content in ({"judgements": JUDGEMENTS, "items": ITEMS, "taxonomy": TREE} | given).items():
        kind, content = content if isinstance(content, tuple) else ("csv", content)
        if content is not None:
            words.append(f"{setting}={put(folder / f'{setting}.{kind}', content)}")
    return words


def read(words: list[str], *queries: str, aside: bool = False) -> Read:
    """What derive reads of the files that `words` name; `aside` sets rows at fault aside."""
    asked = options([*words, *(["on_bad_row=quarantine"] if aside else [])])
    quarantine, path = Quarantine(), Path(asked.output).with_suffix(".quarantine.csv")
    with opened(Path(asked.output).parent / "spill", "500MB", 1) as database:
        counts = load_world(asked, quarantine, database).counts
        quarantine.close(OnBadRow(asked.on_bad_row), path)
        rows = [database.rows(query) for query in queries]
    listed = list(csv.DictReader(io.StringIO(path.read_text()))) if path.exists() else []
    return Read(quarantine.read | counts, quarantine.counts(), rows, listed)


def unaccounted(counts: dict[str, int], kind: str, used: int) -> int:
    """Rows of the files of `kind` that nothing tells of."""
    gone = ("left out by read.{}.where", "set aside", "said again")
    told = sum(counts.get(f"{kind}: {one.format(kind)}", 0) for one in gone)
    return counts[f"{kind}: rows of the files"] - told - used
