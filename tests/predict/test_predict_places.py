"""predict writes over, and removes, what it wrote itself and nothing else."""

import os

import pyarrow as pa
import pytest
from stand_in import pairs, saved

BAD = pairs().set_column(1, "task", pa.array(["q" if k in (3, 40) else "type_type" for k in range(50)]))


@pytest.fixture
def listed(tmp_path, run, cells):
    """An output with a list of rows set aside beside it, and the words that wrote them."""
    output = tmp_path / "scored.csv"
    words = [f"cells={cells[0]}", f"input={saved(tmp_path / 'in.csv', BAD)}", f"output={output}"]
    assert run(*words, "on_bad_row=quarantine")[2] == 0
    return output, tmp_path / "scored.csv.quarantine.csv", words


def test_its_own_files_are_written_anew_and_removed(listed, run, tmp_path):
    output, _, words = listed
    assert run(*words, "on_bad_row=quarantine")[2] == 0
    words[1] = f"input={saved(tmp_path / 'sound.csv', pairs())}"
    assert run(*words)[2] == 0
    assert sorted(path.name for path in tmp_path.glob("scored*")) == [output.name]


@pytest.mark.parametrize("words", [(), ("on_bad_row=quarantine",)])
def test_the_list_that_a_person_mended_is_no_place_to_write(listed, run, cells, tmp_path, words):
    output, aside, _ = listed
    aside.write_text(aside.read_text().replace('"q"', '"type_type"'))
    mended, before = aside.read_text(), output.read_text()
    for source in (aside, saved(tmp_path / "sound.csv", pairs())):
        _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}", *words)
        assert (code, err.count("\n")) == (2, 1)
        assert str(aside) in err
        assert (aside.read_text(), output.read_text()) == (mended, before)


@pytest.mark.parametrize("bad", [True, False])
@pytest.mark.parametrize("name", ["scored.csv", "scored.csv.quarantine.csv"])
def test_a_file_of_somebody_else_stays(run, cells, tmp_path, name, bad):
    (tmp_path / name).write_text("left,mine\n1,2\n")
    source = saved(tmp_path / "in.csv", BAD if bad else pairs())
    words = (f"cells={cells[0]}", f"input={source}", f"output={tmp_path / 'scored.csv'}", "on_bad_row=quarantine")
    _, err, code = run(*words)
    assert code == 2
    assert f"{name}: is there already and is none of ours" in err
    assert (tmp_path / name).read_text() == "left,mine\n1,2\n"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_another_name_of_the_input_is_the_input(run, cells, tmp_path, link):
    source = saved(tmp_path / "in.csv", pairs())
    link(source, tmp_path / "scored.csv")
    link(source, tmp_path / "other.csv.quarantine.csv")
    before = source.read_bytes()
    for output in ("in.csv", "scored.csv", "other.csv"):
        _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={tmp_path / output}")
        assert code == 2
        assert err.count("\n") == 1
        assert "is the input; name another file" in err
    assert source.read_bytes() == before


def test_nothing_is_written_into_a_cell_that_is_read(run, cells, tmp_path):
    source = saved(tmp_path / "in.csv", pairs())
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={cells[0]}/scored.csv")
    assert code == 2
    assert "is read from" in err
