"""derive writes over, and removes, what it wrote itself and nothing else."""

from pathlib import Path

import pytest
from little import ITEMS, shop

from relevance.derive.commands import derive
from relevance.errors import UserError


def refused(words: list[str], path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"{path.name}: is there already and is none of ours"):
        derive(words)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["pairs.parquet", "pairs.derive.json", "pairs.quarantine.csv"])
@pytest.mark.parametrize("items", [ITEMS, ITEMS + "i5,,Chairs\n"])
def test_a_file_of_somebody_else_stays(tmp_path, name, items):
    words = [*shop(tmp_path, items=items), "on_bad_row=quarantine"]
    (tmp_path / name).write_text("file,row,problem\nmine,1,none\n")
    refused(words, tmp_path / name)
    (tmp_path / name).unlink()
    derive(words)
    derive(words)


def test_the_list_that_a_person_mended_stays(tmp_path):
    words = [*shop(tmp_path, items=ITEMS + "i5,,Chairs\n"), "on_bad_row=quarantine"]
    derive(words)
    with (tmp_path / "pairs.quarantine.csv").open("a") as file:
        file.write("mine\n")
    refused(words, tmp_path / "pairs.quarantine.csv")
    refused(shop(tmp_path), tmp_path / "pairs.quarantine.csv")
