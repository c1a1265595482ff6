"""Which of the cells of a sweep is the best: by the macro accuracy of what it answered on validation.

best(cells, "ce", "sweep nightly") → CellRecord("ce-mhp-joint-s0", …); the test rows choose nothing
"""

from collections.abc import Sequence

from relevance.cli import echo
from relevance.errors import UserError
from relevance.tracking.records import CellRecord

BEST = "best"


def best(cells: Sequence[CellRecord], model: str, place: str) -> CellRecord:
    """The finished cell of the highest macro accuracy on validation, of equals the first.

    `model` is a family, a model or the beginning of names, "ce-mhp".

    Compared are those of the most tasks. Cells that learnt nothing are none; UserError where no cell is left, or where
    they were validated on different tables of pairs.
    """
    finished = [cell for cell in cells if cell.status == "FINISHED"]
    kinds = dict.fromkeys(kind for cell in finished for kind in (cell.family, cell.model) if kind)
    of_kind = [c for c in finished if c.family == model] or [c for c in finished if c.model == model]
    of_kind = of_kind or [cell for cell in finished if cell.cell.startswith(model)]
    able = [cell for cell in (of_kind if model else finished) if cell.learnt]
    word = f"{BEST}:{model}" if model else BEST
    if not able:
        known = f"{BEST}:{f', {BEST}:'.join(kinds)}" if kinds else "none finished"
        raise UserError(
            f"{word}: {place} has no such cell that finished and learnt anything (there are: {known}); train longer, "
            "or name a cell"
        )
    if len({cell.data_digest for cell in able}) > 1:
        raise UserError(f"{word}: the cells of {place} have several tables of pairs, and are not comparable; name one")
    scored = [(scores, cell) for cell in able if (scores := validated(cell))]
    if not scored:
        raise UserError(f"{word}: no cell of {place} has validation rows, by which the best is chosen; name one")
    return max(scored, key=lambda each: each[0])[1]


def validated(cell: CellRecord) -> tuple[int, float] | None:
    """How many tasks it was validated on, and its macro accuracy there; None without rows, of a damaged file aloud.

    Its run would not do: it has the last epoch, and the model is that of the best one.
    """
    from relevance import predictions  # only now: takes pyarrow along
    from relevance.metrics import score_predictions

    try:
        table = predictions.read(cell.files.validation)
    except UserError as error:
        echo(f"{cell.cell}: is left out ({error})")
        return None
    scores = score_predictions(table)
    return (int((scores.n > 0).sum()), scores.macro) if len(table) else None
