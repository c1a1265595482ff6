"""The section of cascades once more, from the stored predictions, by loops."""

import numpy as np
import pandas as pd
import pytest
from page import line, text
from scipy.optimize import minimize_scalar

from relevance import predictions
from relevance.pages.render import markdown
from relevance.report.matrix import MainRows, matrices
from relevance.report.measures import ACCURACY
from relevance.report.panel import difference, effects
from relevance.report.sections.cascade import cascade_section, pairs

P = [*predictions.PROBABILITIES]
PACES = {"ce-mh": 400, "llm-mhp": 100, "ce-prefix": 380}


def add(study, name: str, chance: float, seed: int, pace: float | None) -> None:
    """A cell that is right with this chance, and surer where it is, on validation and test."""
    random = np.random.default_rng([seed, len(name), int(1000 * chance)])
    cell = study.cell(f"{name}-joint-s{seed}", metrics={} if pace is None else {"test/rows_per_second": pace})
    for split in ("validation", "test"):
        rows = next(iter(study.tables.values())).query("split == @split")
        label = rows["label"].to_numpy()
        right = random.random(len(rows)) < chance
        sure = np.where(right, random.uniform(0.5, 0.95, len(rows)), random.uniform(0.4, 0.8, len(rows)))
        p = np.where(np.eye(3)[np.where(right, label, (label + 1) % 3)] > 0, sure[:, None], ((1 - sure) / 2)[:, None])
        table = predictions.table(rows["row"].to_numpy(), rows["task"].to_numpy(), label, p)
        predictions.write(table, cell.folder / f"{split}.parquet")


@pytest.fixture
def two(study, request):
    """A fast row and a better one; of the fast model another routing that is worse on validation."""
    (table,) = study.tables.values()
    place = table.groupby("task").cumcount()
    table.loc[(place >= 10) & (place < 40), "split"] = "validation"
    study.table(table)
    for seed in range(getattr(request, "param", 2)):
        for name, chance in (("ce-mh", 0.7), ("llm-mhp", 0.85), ("ce-prefix", 0.4)):
            add(study, name, chance, seed, PACES[name])
    return study


def mains(study) -> list[MainRows]:
    return [MainRows(matrix) for matrix in matrices(study.sweep())]


def page(study) -> str:
    return markdown("", cascade_section(mains(study)))


def frames(study, seed: int, split: str) -> list[pd.DataFrame]:
    cells = [next(c for c in study.cells if c.cell == f"{name}-joint-s{seed}") for name in ("ce-mh", "llm-mhp")]
    return [predictions.read(cell.folder / f"{split}.parquet").to_pandas() for cell in cells]


def macro(label, said, task) -> float:
    right, task = np.asarray(label) == np.asarray(said), np.asarray(task.cat.codes)
    return float(np.mean([right[task == code].mean() for code in np.unique(task)]))


def sure(small: pd.DataFrame, of: pd.DataFrame) -> np.ndarray:
    """Confidence on the rows `of`, each task under the temperature of its rows in `small`."""
    found = np.empty(len(of))
    for task in small["task"].unique():
        mine, here = small[small["task"] == task], (of["task"] == task).to_numpy()

        def soft(frame, t):
            powers = frame[P].to_numpy(float) ** (1 / t)
            return powers / powers.sum(axis=1, keepdims=True)

        t = np.exp(
            minimize_scalar(
                lambda log_t: -np.log(soft(mine, np.exp(log_t))[range(len(mine)), mine["label"]]).mean(),  # noqa: B023
                bounds=(-10, 10), options={"xatol": 1e-9},
            ).x
        )  # fmt: skip
        found[here] = soft(of[here], t).max(axis=1)
    return found


def by_hand(study, seed: int, loss: float) -> tuple[float, float, float, float]:
    """Threshold by validation; of the test rows share, accuracy and its difference to the large one."""
    small, large = frames(study, seed, "validation")
    confident, least = sure(small, small), macro(large["label"], large["predicted"], large["task"]) - loss / 100
    before = -1
    for k in range(3333, 10_001):  # from the lowest up
        stands = confident >= k / 10_000
        said = np.where(stands, small["predicted"], large["predicted"])
        if stands.sum() != before and macro(small["label"], said, small["task"]) >= least - 1e-12:
            break
        before = stands.sum()
    test, other = frames(study, seed, "test")
    stands = sure(small, test) >= k / 10_000
    said = np.where(stands, test["predicted"], other["predicted"])
    alone = macro(other["label"], other["predicted"], other["task"])
    return k / 10_000, stands.mean(), macro(test["label"], said, test["task"]), alone


@pytest.mark.parametrize("loss", [1, 0.3, 0])
def test_share_cost_and_accuracy_of_thresholds_that_validation_chose(two, loss):
    expected = np.array([by_hand(two, seed, loss) for seed in range(2)])
    threshold, share, accuracy, alone = expected.mean(axis=0)
    cells = line(page(two), "ce mh", "llm mhp", f"{loss:g}", "2")
    sd = expected.std(axis=0, ddof=1)
    assert cells[4] == f"{threshold:.3f} ± {sd[0]:.3f}"
    assert cells[5] == f"{100 * share:.1f} ± {100 * sd[1]:.1f}"
    assert 0.05 < share < 0.95
    rows = 1 / (1 / 400 + (1 - share) / 100)
    assert cells[6:8] == [f"{rows:.0f}", f"{100 * 100 / rows:.0f}"]
    assert cells[8].startswith(f"{100 * accuracy:.1f} [")
    assert cells[9].startswith(f"{100 * (accuracy - alone):+.1f} [")


def test_each_alone_stands_beside_them_and_a_model_takes_part_with_the_routing_best_on_validation(two):
    shown = page(two)
    assert line(shown, "ce mh", "llm mhp", "small alone")[4:8] == ["—", "100.0 ± 0.0", "400", "25"]
    large = line(shown, "ce mh", "llm mhp", "large alone")
    tests = [frames(two, seed, "test")[1] for seed in range(2)]
    alone = np.mean([macro(test["label"], test["predicted"], test["task"]) for test in tests])
    assert (large[4:8], large[9]) == (["—", "0.0 ± 0.0", "100", "100"], "—")
    assert large[8].startswith(f"{100 * alone:.1f} [")
    assert "ce prefix" not in shown
    assert text(two).index("## Cascade") < text(two).index("## Calibration")


@pytest.mark.parametrize("two", [1], indirect=True)
def test_the_interval_is_that_of_the_paired_difference_over_entities(two):
    """Of one seed pairing by row is all there is: the interval of the report's other differences."""
    (main,) = mains(two)
    small, large = frames(two, 0, "test")
    stands = sure(frames(two, 0, "validation")[0], small) >= by_hand(two, 0, 1)[0]
    said = np.where(stands, small["predicted"], large["predicted"]).astype(np.int8)
    matrix = main.matrix
    panel = matrix.panel(ACCURACY, [matrix.measurer.measure(said)])
    place = main.joint["llm", "mhp"].places
    apart = difference("", ("a", (len(matrix.measured),)), ("b", place), "macro", panel.weights("macro"))
    (effect,) = effects(panel, [apart]).to_dict("records")
    low, high = 100 * effect["low"], 100 * effect["high"]
    assert (
        line(page(two), "ce mh", "llm mhp", "1", "1")[9] == f"{100 * effect['estimate']:+.1f} [{low:+.1f}, {high:+.1f}]"
    )


def test_a_large_one_that_is_no_better_gets_no_threshold(study):
    add(study, "ce-mh", 0.9, 0, 400)
    add(study, "llm-mhp", 0.75, 0, 100)
    rows = [row for row in page(study).splitlines() if row.startswith("| ce mh")]
    assert [row.split("|")[3].strip() for row in rows] == ["small alone", "large alone"]


def test_a_loss_that_no_threshold_keeps_is_counted(two):
    for cell in two.cells[::3]:  # the small one: never right where it is surest
        path = cell.folder / "validation.parquet"
        rows = predictions.read(path).to_pandas()
        p = np.where(np.arange(len(rows))[:, None] % 2 > 0, rows[P].to_numpy(), np.eye(3)[(rows["label"] + 1) % 3])
        predictions.write(predictions.table(rows["row"], rows["task"].to_numpy(), rows["label"], p), path)
    shown = page(two)
    assert "In 6 of 6 cases no threshold keeps the loss: every row goes to the large one." in shown
    assert line(shown, "ce mh", "llm mhp", "1")[4:6] == ["—", "0.0 ± 0.0"]


def test_no_section_without_two_models_speeds_validation_or_a_seed_that_both_have(study):
    add(study, "ce-mh", 0.7, 0, 400)
    add(study, "ce-mhp", 0.9, 0, 100)
    assert cascade_section(mains(study)) == []
    add(study, "llm-mh", 0.9, 0, None)
    add(study, "llm_b-mh", 0.9, 1, 90)
    assert cascade_section(mains(study)) == []
    add(study, "llm_c-mh", 0.9, 0, 90)
    assert len(pairs(*mains(study))) == 1
    (study.cells[-1].folder / "validation.parquet").unlink()
    assert cascade_section(mains(study)) == []
