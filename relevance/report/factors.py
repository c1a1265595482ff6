"""All six routings of a model → what prefix, heads and private layers do by themselves, and together.

llm  heads  +3.1 [+2.2, +4.0]  = mean of (none → mh) and (prefix → prefix_mh)
"""

from relevance.report.document import Section, Table
from relevance.report.evidence.contrast import Effect, contrast, effect_text, on
from relevance.report.main_rows import SHARED, MainRows
from relevance.report.tables import NONE, signed

Steps = list[tuple[str, str]]  # from one routing to another
EFFECTS: dict[str, Steps] = {
    "prefix": [("none", "prefix"), ("mh", "prefix_mh"), ("mhp", "prefix_mhp")],
    "heads": [("none", "mh"), ("prefix", "prefix_mh")],
    "private layers": [("mh", "mhp"), ("prefix_mh", "prefix_mhp")],
    "private layers, shared by all tasks (capacity)": [("mh", SHARED)],
    "private layers, of its own against shared (isolation)": [(SHARED, "mhp")],
}
INTERACTIONS = {  # the second step minus the first
    "prefix × heads": (("none", "prefix"), ("mh", "prefix_mh")),
    "prefix × private layers": (("mh", "mhp"), ("prefix_mh", "prefix_mhp")),
}
INTRODUCTION = (
    "Macro accuracy in points, 95 % intervals of resampled entities. A main effect is the mean of the steps between "
    "routings that differ in it alone; an interaction says by how much the first factor changes what the second does. "
    "Private layers come only with heads of their own, so that heads × private layers cannot be told."
)


def factors(main: MainRows) -> list[tuple[str, str, str, Effect | None]]:
    """Model, effect, the steps it is made of, and the effect or None where a routing is missing; none without any."""
    found = []
    for model in dict.fromkeys(model for model, _ in main.joint):
        lines = [
            *((name, steps, [1 / len(steps)] * len(steps)) for name, steps in EFFECTS.items()),
            *((name, list(steps), [-1.0, 1.0]) for name, steps in INTERACTIONS.items()),
        ]
        found += [
            (model, name, _told(steps, weights), _effect(main, model, steps, weights)) for name, steps, weights in lines
        ]
    known = {model for model, _, _, value in found if value}
    return [line for line in found if line[0] in known]


def factors_section(main: MainRows) -> list[Section]:
    """None where no model has the routings of any effect."""
    found = factors(main)
    if not found:
        return []
    body = [[model, name, steps, *_texts(value)] for model, name, steps, value in found]
    header = ["model", "effect", "steps", f"points n={main.matrix.n.sum():,}", "by seed", "above zero"]
    return [Section("What each part of a routing does", [INTRODUCTION, Table(header, body, left=3)])]


def _effect(main: MainRows, model: str, steps: Steps, weights: list[float]) -> Effect | None:
    if any((model, routing) not in main.joint for step in steps for routing in step):
        return None
    terms = [
        (on("macro", sign * weight), main.joint[model, routing].series)
        for step, weight in zip(steps, weights, strict=True)
        for routing, sign in zip(step, (-1, 1), strict=True)
    ]
    return contrast(terms, main.matrix.n)


def _told(steps: Steps, weights: list[float]) -> str:
    texts = [f"{one} → {other}" for one, other in steps]
    return f"({texts[1]}) - ({texts[0]})" if weights[0] < 0 else ", ".join(texts)


def _texts(value: Effect | None) -> list[str]:
    if value is None:
        return [NONE] * 3
    return [effect_text(value), " ".join(map(signed, value.seeds)), value.verdict.value]
