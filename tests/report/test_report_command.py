import subprocess
import sys
from types import SimpleNamespace

import pytest

from relevance.cli import run_command
from relevance.report.__main__ import report

HEAVY = ("torch", "mlflow", "sklearn", "pandas", "matplotlib")


def loaded(code: str) -> str:
    probe = f"{code}; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout


def test_help_imports_nothing_heavy():
    shown = loaded(
        "import sys; sys.argv = ['report', '--help']; from relevance.report.__main__ import report; report()"
    )
    assert "sweep=null" in shown
    assert shown.endswith("[]\n")


def test_the_report_knows_no_torch():
    assert "torch" not in loaded("import relevance.report.files")


def test_the_command_writes_and_prints_the_named_sweep(study, monkeypatch, capsys):
    study.cell("llm-mhp-joint-s0", 2)
    asked = []

    def sweep_record(*arguments):
        asked.append(arguments)
        return study.sweep("mine")

    kept = []
    history = SimpleNamespace(sweep_record=sweep_record, keep=lambda *given: kept.append(given))
    monkeypatch.setitem(sys.modules, "relevance.tracking.history", history)
    words = [
        "sweep=mine",
        "tracking_uri=sqlite:///x.db",
        f"outputs={study.outputs}",
        f"reports={study.reports}",
    ]
    monkeypatch.setattr(sys, "argv", ["report", *words])
    report()
    assert asked == [("sqlite:///x.db", "relevance", study.outputs, ["mine"], None)]
    assert kept[0][-1] == study.reports / "mine"
    shown = capsys.readouterr().out
    assert (study.reports / "mine" / "matrix.md").read_text(encoding="utf-8").split("\n## The paper's claims")[
        0
    ] in shown
    assert "provenance.json" in shown


def test_an_unknown_key_ends_with_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "sweeps=x"])
    with pytest.raises(SystemExit) as end:
        run_command(report)
    assert end.value.code == 2
    assert "sweep" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("sweep=[]", "sweep=[]: give a name"),
        ("sweep=[a,a]", "different names"),
        ("compare=[a]", "give two sweeps"),
        ("compare=[a,a]", "different names"),
        ("compare=a", "give two sweeps"),
        ("ties=foo", "ties"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(word, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", word])
    with pytest.raises(SystemExit) as end:
        run_command(report)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert told in error
    assert "did you mean ties" not in error
