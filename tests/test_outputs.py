"""No command writes over what it did not make: a file with the name of an output is a person's until proven ours."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.audit.commands import audit
from relevance.errors import UserError
from relevance.outputs import check_folder
from relevance.shop.commands import generate, shop

SMALL = ("judgements=600", "items=150", "types=120", "queries=40")


def refused(command, words: list[str], path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"{path.name}: is there already and is none of ours"):
        command(words)
    assert path.read_bytes() == before


def test_generated_pairs(tmp_path):
    output = tmp_path / "pairs.parquet"
    words = [f"output={output}", "data.rows=300"]
    generate(words)
    generate(words)
    pq.write_table(pa.table({"left": ["mine"]}), output)
    refused(generate, words, output)
    output.write_text("thesis")
    refused(generate, words, output)


def test_a_shop(tmp_path):
    words = [f"output={tmp_path / 'shop'}", *SMALL]
    shop(words)
    shop(words)
    pq.write_table(pa.table({"item_id": ["mine"]}), tmp_path / "shop" / "items.parquet")
    refused(shop, words, tmp_path / "shop" / "items.parquet")


@pytest.mark.parametrize("name", ["audit.md", "audit.json"])
def test_an_audit(tmp_path, name):
    generate([f"output={tmp_path / 'pairs.parquet'}", "data.rows=300"])
    words = [f"data.path={tmp_path / 'pairs.parquet'}"]
    audit(words)
    audit(words)
    (tmp_path / "pairs.audit" / name).write_text("# Minutes of the audit\n")
    refused(audit, words, tmp_path / "pairs.audit" / name)


@pytest.mark.parametrize("name", [".", "..", "inner/..", "/"])
def test_the_folder_one_is_in_is_no_place(tmp_path, monkeypatch, name):
    (tmp_path / "here" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match=r"output=.*: is the folder you are in, or one above it; give a new folder"):
        check_folder(Path(name))
    with pytest.raises(UserError, match="is the folder you are in"):
        shop([f"output={name}", *SMALL])
