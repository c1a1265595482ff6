"""The tables once more, from the stored predictions, with scikit-learn and statsmodels alone."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, mean_absolute_error, recall_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from relevance import predictions
from relevance.report.files import cells_csv, comparisons_csv
from relevance.report.matrix import matrices
from relevance.report.page import Findings, findings_of
from relevance.tasks import LABELS

EXACT = {"abs": 1e-12, "rel": 0}


@pytest.fixture
def random_study(study):
    """Three rows of two seeds that answer at random, better and worse."""
    random = np.random.default_rng(0)
    for name, chance in (("ce-mh", 0.5), ("llm-mh", 0.7), ("llm-mhp", 0.8)):
        for seed in range(2):
            cell = study.cell(f"{name}-joint-s{seed}", metrics={})
            for split in ("validation", "test"):
                rows = next(iter(study.tables.values())).query("split == @split")
                p = random.dirichlet([0.3] * 3, len(rows))
                right = random.random(len(rows)) < chance
                p[right] = np.eye(3)[rows["label"].to_numpy()][right]
                table = predictions.table(rows["row"].to_numpy(), rows["task"].to_numpy(), rows["label"].to_numpy(), p)
                predictions.write(table, cell.folder / f"{split}.parquet")
    return study


def frame(text: str) -> pd.DataFrame:
    return pd.DataFrame(csv.DictReader(io.StringIO(text)))


def found(study) -> list[Findings]:
    return findings_of(matrices(study.sweep()))


def test_every_measure_of_cells_csv(random_study):
    table = frame(cells_csv(random_study.sweep(), found(random_study))).set_index(["cell", "task", "metric"])["value"]
    for cell in random_study.cells:
        stored = predictions.read(cell.folder / "test.parquet").to_pandas()
        per_task = []
        for task, rows in stored.groupby("task", observed=True):
            label, said = rows["label"], rows["predicted"]
            told = {
                "accuracy": accuracy_score(label, said),
                "macro_f1": f1_score(label, said, average="macro", labels=[0, 1, 2], zero_division=0),
                "quadratic_weighted_kappa": cohen_kappa_score(label, said, weights="quadratic"),
                "mean_absolute_error": mean_absolute_error(label, said),
            }
            recall = recall_score(label, said, average=None, labels=[0, 1, 2])
            told |= {f"recall_{word}": value for word, value in zip(LABELS, recall, strict=True)}
            for name, value in told.items():
                assert float(table[cell.cell, task, name]) == pytest.approx(value, **EXACT)
            per_task.append(told["accuracy"])
        assert float(table[cell.cell, "all", "accuracy"]) == pytest.approx(
            accuracy_score(stored["label"], stored["predicted"]), **EXACT
        )
        assert float(table[cell.cell, "all", "macro_accuracy"]) == pytest.approx(np.mean(per_task), **EXACT)


def test_every_mcnemar_of_comparisons_csv_and_holm_within_its_column(random_study):
    table = frame(comparisons_csv(found(random_study))).query("kind == 'mcnemar'")
    cells = {(f"{cell.model} {cell.routing} joint", str(cell.seed)): cell for cell in random_study.cells}
    right = {}
    for key, cell in cells.items():
        stored = predictions.read(cell.folder / "test.parquet").to_pandas()
        right[key] = stored.assign(right=stored["label"] == stored["predicted"])
    assert set(table["column"]) == {*right[next(iter(right))]["task"].unique(), "micro"}
    for column, tests in table.groupby("column"):
        mid = []
        for test in tests.itertuples():
            a, b = right[test.a, test.seeds], right[test.b, test.seeds]
            here = (a["task"] == column) | (column == "micro")
            only_a, only_b = (a["right"] & ~b["right"] & here).sum(), (~a["right"] & b["right"] & here).sum()
            assert (int(test.only_a), int(test.only_b)) == (only_a, only_b)
            reference = mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue
            assert float(test.p_exact) == pytest.approx(reference, **EXACT)
            mid.append(float(test.p_mid))
        assert tests["p_holm"].astype(float).tolist() == pytest.approx(multipletests(mid, method="holm")[1], **EXACT)


def test_differences_of_comparisons_csv_are_those_of_the_means(random_study):
    cells = frame(cells_csv(random_study.sweep(), found(random_study)))
    macro = cells[(cells["metric"] == "macro_accuracy") & (cells["status"] == "FINISHED") & (cells["run_id"] != "")]
    means = macro.astype({"value": float}).groupby(["model", "routing"])["value"].mean()
    table = frame(comparisons_csv(found(random_study))).query("kind == 'interval' and column == 'macro'")
    assert len(table) == 2
    for row in table.itertuples():
        a, b = (means[tuple(name.split()[:2])] for name in (row.a, row.b))
        assert float(row.value) == pytest.approx(a - b, **EXACT)
        assert float(row.low) < float(row.value) < float(row.high)
