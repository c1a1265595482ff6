"""Words that Hydra's grammar cannot read → one line with what works."""

import subprocess
import sys

import pytest

from relevance.compose import check_words
from relevance.errors import UserError


@pytest.mark.parametrize("word", ["data.grades={é: 2, no: 0}", "data.grades={null: 0}", "data.grades={no: 1, ~: 0}",
                                  'data.grades={"é": 2}', "data.path=café.csv", "data.header=[größe]"])  # fmt: skip
def test_a_word_that_hydra_cannot_read_says_what_works(word):
    with pytest.raises(UserError, match=r"Hydra reads letters beyond ASCII .*--config-dir=FOLDER data=own"):
        check_words([word])
    check_words(["data.grades={on: 2, no: 0}", 'data.path="café.csv"', 'data.columns={left: "requête"}'])


@pytest.mark.parametrize("word", ["train.teacher=[1e10,a]", "train.teacher=[],[1_000]", "train.teacher=[[a]]"])
def test_a_teacher_that_hydra_reads_as_a_number_is_no_name(word):
    with pytest.raises(UserError, match=r"is no name; give \[NAME,NAME\], in quotes what reads as a number"):
        check_words([word])
    check_words(["train.teacher=['1e10',best:ce-mhp]", "train.teacher=[],[0123]"])


def test_grades_in_other_letters_are_read_from_a_group_of_ones_own(tmp_path):
    (tmp_path / "own" / "data").mkdir(parents=True)
    group = '{defaults: [pairs], task: query_item, grades: {très bon: 2, "null": 0}}'
    (tmp_path / "own" / "data" / "own.yaml").write_text(group, encoding="utf-8")
    (tmp_path / "a.csv").write_text("left,right,label\na,b,très bon\nc,d,null\ne,f,oops\n", encoding="utf-8")
    words = ["--config-dir=own", "data=own", "data.path=a.csv"]
    run = subprocess.run(
        [sys.executable, "-m", "relevance.run", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert "label is none of the grades: 1 row" in run.stderr
    assert "a.csv row 3: 'oops'" in run.stderr


@pytest.mark.parametrize(("word", "shown"), [
    ("hydra.launcher.bogus=1", "hydra.launcher.bogus: no such setting; available: hydra.launcher.cells"),
    ("+hydra.launcher.bogus=1", "hydra.launcher.bogus: no such setting; available: hydra.launcher.cells"),
    ("hydra.sweep.bogus=1", "hydra.sweep.bogus: no such setting; available: hydra.sweep.dir, hydra.sweep.subdir"),
])  # fmt: skip
def test_a_wrong_setting_of_hydras_names_those_beside_it(word, shown, tmp_path):
    command = [sys.executable, "-m", "relevance.run", "-m", word, "data.rows=600"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.stderr == f"error: {shown}\n"
