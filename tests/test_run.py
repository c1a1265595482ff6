"""The command line as a user meets it: help without torch, errors in one line."""

import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
from omegaconf import OmegaConf

from relevance.cli import key_help
from relevance.compose import FIRST
from relevance.config import Config

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "lightning", "mlflow", "pandas", "sklearn", "rich")


def command(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ("relevance",),
        ("relevance", "run", "--help"),
        ("relevance.run", "--help"),
        ("relevance.run", "--cfg", "job"),
        ("relevance.report", "--help"),
        ("relevance.status", "--help"),
        ("relevance.data", "--help"),
        ("tools.backbones", "--help"),
        ("relevance.predict", "--help"),
        ("relevance.export", "--help"),
        ("tools.survey", "--help"),
        ("tools.survey.speed", "--help"),
    ],
)
def test_help_is_fast_because_it_imports_nothing_heavy(words):
    code = (
        "import runpy, sys\n"
        f"sys.argv = {list(words)!r}\n"
        "try:\n    runpy.run_module(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    found = command("-W", "error", "-c", code)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip().endswith("heavy: []")
    assert len(found.stdout.splitlines()) > 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model=ce_b",), "model=ce_b: this backbones group has no member for it"),
        (("data=pairs",), "data.path is missing"),
        (("data=pairs", "data.path=no/such.csv"), "no/such.csv"),
        (("trainer.gradient_clip_val=1",), "use train.clip"),
        (("routing.private.kind=top",), "routing=mh has no private layers; use routing=mhp"),
    ],
)
def test_a_wrong_setting_ends_in_one_message_and_no_trace(tmp_path, words, said):
    found = forked.run(tmp_path, "relevance.run", *words)
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_columns_are_mapped_in_the_words_of_the_readme(tmp_path):
    (tmp_path / "pairs.csv").write_text("task,query,title,label\nquery_item,a,b,7\n")
    file = (f"data.path={tmp_path / 'pairs.csv'}", "data.columns={left: query, right: title}")
    for words in (
        ("relevance.data", "validate"),
        ("relevance.run", "data=pairs"),
        ("relevance.run", "-m", "data=pairs"),
    ):
        (folder := tmp_path / " ".join(words)).mkdir()
        found = forked.run(folder, *words, *file)
        assert found.returncode == 2
        assert "label is not 0, 1 or 2: 1 row" in found.stderr


HYDRAS = ("Could not", "To append", "use +", "search path", "HYDRA_FULL_ERROR", "Available options", "Traceback")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.lora.rank=3"], "model.lora.rank: no such setting; did you mean model.lora.r?"),
        (["trainer.max_epoch=1"], "trainer.max_epoch: no such setting; did you mean trainer.max_epochs?"),
        (["+trainer.max_epoch=1"], "did you mean trainer.max_epochs?"),
        (["++trainer.max_epoch=1"], "did you mean trainer.max_epochs?"),
        (["hydra.launcher=ray"], "hydra.launcher: is chosen as hydra/launcher=OPTION"),
        (["hydra.sweeper.params={seed: '0,1'}"], "a sweep is -m KEY=A,B"),
        (["--foo"], "--foo: no such flag"),
        (["+trainer.strategy=ddp"], "trainer.strategy: no such setting; available: trainer.accelerator"),
        (["-m", "seed=0,1", "+x=1"], "x: no such setting"),
        (["max_epochs=1"], "did you mean trainer.max_epochs?"),
        (["modle=llm"], "did you mean model?"),
        (["+rates.ce.lrr=1"], "did you mean rates.ce.lr?"),
        (["+hydra.job.foo=1"], "hydra.job.foo: no such setting"),
        (
            ["routing=mph"],
            "routing=mph: did you mean mh? available: mh, mh_r56, mh_r569, mh_wide, mhp, mhp_lora, mhp_shared",
        ),
        (["-m", "routing=mh,no_such"], "routing=no_such: available: mh, mh_r56"),
        (["+sweep=matrx"], "did you mean matrix?"),
        (["sweep=matrix"], "+sweep=matrix"),
        (["model=null"], "model=null: give model=OPTION, one of ce"),
        (["~trainer.max_epochs"], "~trainer.max_epochs: a setting cannot be left out"),
        (["~model"], "~model: a setting cannot be left out"),
        (["model=[ce"], "model=[ce: cannot be read; give key=value"),
        (["seed=1,2"], "seed=1,2: several values are a sweep, with -m"),
        (["seed=abc"], "seed: Value 'abc'"),
        (["seed=${nope}"], "seed: Interpolation key 'nope' not found"),
        (["hydra.output_subdir=.hydra"], "passwords too; leave it out"),
        (["--config-dir", "no/such"], "no/such: no such folder of settings"),
        (["--config-name", "no_such"], "no_such: no such file of settings"),
        (["--config-dir", "{folder}", "+sweep=inside"], "did you mean trainer.max_epochs?"),
        (["--config-dir", "{folder}", "+sweep=params"], "did you mean trainer.max_epochs?"),
        (["--config-dir", "{folder}", "+sweep=top"], "naem: no such setting; did you mean name?"),
    ],
)
def test_every_key_is_held_against_the_schema_before_anything_is_read(tmp_path, words, said):
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    for name, text in {
        "inside": "trainer: {max_epoch: 3}",
        "params": 'hydra: {mode: MULTIRUN, sweeper: {params: {trainer.max_epoch: "1,2"}}}',
        "top": "naem: nightly",
    }.items():
        (tmp_path / "conf" / "sweep" / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    outputs = tmp_path / "outputs"
    found = forked.run(
        tmp_path,
        "relevance.run",
        *(word.replace("{folder}", str(tmp_path / "conf")) for word in words),
        f"outputs={outputs}",
    )
    assert found.returncode == 2
    assert said in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert not [text for text in HYDRAS if text in found.stderr + found.stdout]
    assert not (outputs / "data").exists()


def test_help_lists_every_group_option_and_what_every_key_means_those_a_newcomer_needs_first():
    meanings = key_help(Config, OmegaConf.structured(Config))
    bare = [key for key, text in meanings.items() if not text.partition("=")[2].partition("  ")[2].strip()]
    assert bare == []
    shown = command("-m", "relevance.run", "--help", "model=llm", "tracking_uri=${oc.env:NOT_SET}").stdout
    for option in ("prefix_mhp", "single_type_type", "ce_b", "paper", "generated"):
        assert option in shown
    assert "  tracking_uri=${oc.env:NOT_SET}          MLflow's store\n" in shown
    assert "  model.family=llm  " in shown
    keys = [line.split("=")[0].strip() for line in shown.splitlines() if line.startswith("  ") and "=" in line[:44]]
    assert keys[-len(meanings) :][:12] == [*FIRST]
    assert sorted(keys[-len(meanings) :]) == sorted(meanings)
    assert max(map(len, shown.partition("Settings")[2].splitlines())) <= 120


def test_help_answers_soon():
    started = time.perf_counter()
    command("-m", "relevance.report", "--help")
    assert time.perf_counter() - started < 30  # a hang, not a benchmark: the imports are held by the test above


@pytest.mark.parametrize(("routing", "code"), [("mh,mhp", 2), ("mh,no_such", 2)])
def test_a_password_of_the_command_is_in_no_file(tmp_path, routing, code):
    words = (f"routing={routing}", "data=pairs", "data.path=no/such.csv", f"outputs={tmp_path}")
    found = command("-m", "relevance.run", "-m", *words, "tracking_uri=postgresql://ana:hunter2@db/runs")
    assert found.returncode == code
    assert "hunter2" not in found.stderr + found.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
