import json
import subprocess
import sys

import pytest
from small_pairs import row, write

from relevance.data.__main__ import command
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES

KEYS = "file rows split labels sources copies shared_texts leaks elsewhere lengths baseline agreement".split()


@pytest.fixture
def audit(tmp_path, capsys):
    def run(rows, *words):
        path = write(tmp_path, rows)
        command(["audit", f"data.path={path}", *words])
        return capsys.readouterr().out, path.with_name("pairs.audit")

    return run


def test_a_table_that_validate_refuses_is_audited_and_its_worst_comes_first(audit):
    rows = [row(n, source="a | b") for n in range(40)]
    rows += [rows[0] | {"label": 2}, row(3, left="left 1", right="right 1", label=2), row(50, label=5)]
    said, folder = audit(rows)
    text = (folder / "audit.md").read_text(encoding="utf-8")
    assert text.startswith(said.partition("\nwritten: ")[0].rstrip())
    assert [line for line in text.splitlines() if line.startswith("- ")][:3] == [
        "- The same pair with two labels: 2 pairs in 4 rows (query_item 2).",
        "- 9.1 % of the 11 test rows are pairs that training holds under the same task, by entities or by texts: "
        "query_item 9.1 %.",
        "- 9.1 % of the 11 test rows have a left entity that training has seen under the same task: query_item 9.1 %.",
    ]
    assert "- 1 of 43 rows (2.3 %) break the contract and are counted nowhere below: label is not" in text
    assert r"a \| b" in text


def test_the_json_has_stable_keys_and_the_numbers_of_the_page(audit):
    _, folder = audit([row(n, task=TASK_NAMES[n % 6], annotator="x") for n in range(120)])
    told = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    assert list(told) == KEYS
    assert list(told["labels"]) == [*TASK_NAMES, "all"]
    assert told["rows"]["sound"] == 120
    assert told["agreement"]["order"] == "column annotator"


def test_output_names_the_folder_and_generated_pairs_are_audited_too(audit, tmp_path, capsys):
    command(["audit", "data.kind=generated", "data.rows=300", f"output={tmp_path / 'there'}"])
    said = capsys.readouterr().out
    assert "The file has no split column: the rows are divided by left entity, seed 0" in said
    assert json.loads((tmp_path / "there" / "audit.json").read_text())["rows"]["sound"] == 300


def test_a_table_of_which_no_row_is_left_is_refused_with_its_rows(audit):
    with pytest.raises(UserError, match="label is not 0, 1 or 2: 2 rows"):
        audit([row(0, label=7), row(1, label=8)])


def test_a_sample_is_drawn_graded_and_read_back(tmp_path, capsys):
    path = write(tmp_path, [row(n, source="rule") for n in range(30)])
    sheet = tmp_path / "grades.csv"
    command(["sample", f"data.path={path}", f"output={sheet}", "n=4"])
    assert "12 pairs, at most 4 of each task, rule and label" in capsys.readouterr().out
    graded = sheet.read_text(encoding="utf-8-sig").replace(',""\n', ",1\n").replace(",\n", ",1\n")
    (tmp_path / "ann.csv").write_text(graded)
    command(["sample", f"data.path={path}", f"graded={tmp_path / 'ann.csv'}"])
    said = capsys.readouterr().out
    assert "12 grades, 0 left empty: too few, or all alike, for a kappa" in said
    assert json.loads((tmp_path / "ann.graded" / "graded.json").read_text())["all"]["n"] == 12
    assert (tmp_path / "ann.graded" / "graded.md").read_text().rstrip() in said


@pytest.mark.parametrize("words", [[], ["output=a.csv", "n=0"], ["output=a.csv", "seed=-1"]])
def test_sample_wants_to_know_where_and_how_many(tmp_path, words):
    path = write(tmp_path, [row(n) for n in range(4)])
    with pytest.raises(UserError, match="give output=FILE"):
        command(["sample", f"data.path={path}", *words])


def test_help_loads_no_table_library():
    code = "import sys; from relevance.data.__main__ import command; command(['audit', '--help'])"
    probe = f"{code}; print([name for name in ('numpy', 'pyarrow') if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert "data.path=null" in out
    assert out.endswith("[]\n")
