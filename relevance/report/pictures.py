"""Findings → the figures of a report, each as png and svg, and what stands under it."""

from pathlib import Path

from relevance.report.baselines import Gain
from relevance.report.evidence.contrast import contrast, versus
from relevance.report.figures.forest import Line, write_forest
from relevance.report.figures.heatmap import write_heat_map
from relevance.report.figures.reliability import write_reliability
from relevance.report.figures.slope import write_slope
from relevance.report.figures.volume import Point, write_volume
from relevance.report.findings import Findings
from relevance.report.variants import MATCH, SHARE, without

HEAT = "heatmap"
FOREST, SLOPE, VOLUME, RELIABILITY = "forest", "slope", "volume", "reliability"
REFERENCE = "prefix"  # the routing that others are drawn against


def write_figures(found: list[Findings], folder: Path) -> dict[str, str]:
    """The captions of the figures that there was something to draw for, by name; of the others old files are gone."""
    captions = {HEAT: write_heat_map([one.matrix for one in found], folder)}
    for one in found:
        mark = suffix(one, found)
        captions |= {
            FOREST + mark: write_forest(lines(one), folder, "Differences in macro accuracy", FOREST + mark),
            SLOPE + mark: write_slope(one.matrix, folder, SLOPE + mark),
            VOLUME + mark: write_volume(points(one), folder, VOLUME + mark),
            RELIABILITY + mark: write_reliability(one.calibration.curves, folder, RELIABILITY + mark),
        }
    return {name: caption for name, caption in captions.items() if caption}


def suffix(one: Findings, found: list[Findings]) -> str:
    """What follows the name of a figure of one table of pairs, where a sweep holds several."""
    return "" if one is found[0] else f"-{one.matrix.digest[:8]}"


def lines(found: Findings) -> list[Line]:
    """The claims, then each routing of each model against the text prefix."""
    claimed = [Line(claim.short, "claims", claim.effect) for claim in found.claims if claim.effect]
    main = found.main
    for (model, routing), row in main.joint.items():
        other = main.joint.get((model, REFERENCE))
        if (
            other
            and other is not row
            and (value := contrast(versus(row.series, other.series, "macro"), found.matrix.n))
        ):
            claimed.append(Line(routing, f"{model}, against {REFERENCE}", value))
    return claimed


def _series(gain: Gain) -> str:
    """A line of the figure: cells that differ in their training rows alone."""
    model, routing, _, variant = gain.row.labels
    return " ".join(filter(None, [model, routing, without(variant, SHARE, MATCH)]))


def points(found: Findings) -> list[Point]:
    """What sharing gives to each task: one budget, the one that most gains have."""
    budgets = [gain.budget for gain in found.gains]
    most = max(dict.fromkeys(budgets), key=budgets.count, default="")
    return [
        Point(_series(gain), gain.task, gain.rows, gain.effect)
        for gain in found.gains
        if gain.budget == most and gain.row.labels[2] == "joint" and gain.row.labels[1] == gain.single.labels[1]
    ]
