"""Two tables of entities → pairs of texts and how their kinds and values compare, as numbers.

("gray cornr couch", "Velmora corner sofa, grey, 1.6 m") → facts [1, 0, 2, 0, 0, 0]: same kind, same colour
("corner couch black", "Velmora sofa cover, white")      → facts [5, 0, 3, 0, 0, 0]: near kind, other colour

These are facts of a catalogue. No label and no grade of relevance is among them. Before every other pair a line names
what the two texts are, in one of WORDINGS.
"""

import numpy as np

from relevance.shop.catalogue import SLOTS
from relevance.shop.entities import GROUP, NAVIGATION, NOUN, Entities, Keys
from relevance.shop.generate import RECIPES, SHARES, draw_pairs
from relevance.tasks import TASKS

_DEPARTMENT, _GROUP, _NOUN, _LEAF = range(4)  # how narrow an entity is
RELATIONS = ("same product", "same kind", "wider", "narrower", "sibling", "near", "other")
VALUES = ("not asked", "left only", "same", "other", "right only")
FACTS = (len(RELATIONS), *(len(VALUES) for _ in SLOTS))  # how many answers each fact has
WORDS = {
    "query": ("query", "search", "search term"),
    "item": ("item", "product", "listing"),
    "type": ("type", "product type", "category"),
}
WORDINGS = ("{} {}:", "{} and {}:", "{}, {}:", "{} / {}:", "compare {} with {}:", "task: {} {}:")  # end like a prefix
UNKNOWN = -100  # where a text has no such fact; the index that cross-entropy leaves out


def comparisons(world: dict[str, Entities], count: int, rng: np.random.Generator) -> tuple[list[list[str]], np.ndarray]:
    """About `count` pairs of texts, half of them behind a line that names them, and their facts [N, len(FACTS)]."""
    pairs: list[list[str]] = []
    facts = []
    for task, share in SHARES.items():
        kinds = (TASKS[task].left, TASKS[task].right)
        left, right = world[kinds[0]], world[kinds[1]]
        # the rarer kinds of pair hold the tree: read them more often than users would label them
        size, recipes = count * (0.5 * share + 0.5 / 6), [recipe for recipe in RECIPES if recipe.task == task]
        for recipe in recipes:
            a, b = draw_pairs(recipe, left, right, int(size / len(recipes)) + 1, rng)
            keep = left.text[a] != right.text[b]
            a, b = a[keep], b[keep]
            facts.append(_facts(_taken(left.key, a), _taken(right.key, b), kinds))
            pairs += [[*_name(kinds, rng), *texts] for texts in zip(left.text[a], right.text[b], strict=True)]
    return pairs, np.concatenate(facts)


def _name(kinds: tuple[str, str], rng: np.random.Generator) -> list[str]:
    """A line that says what two texts are, of every other pair; nothing of the rest."""
    if rng.random() < 0.5:
        return []
    return [str(rng.choice(WORDINGS)).format(*(str(rng.choice(WORDS[kind])) for kind in kinds)) + "\n"]


def is_name(text: str) -> bool:
    return text.endswith("\n")


def _taken(keys: Keys, where: np.ndarray) -> Keys:
    return {name: column[where] for name, column in keys.items()}


def _width(keys: Keys, kind: str) -> np.ndarray:
    """How narrow each entity [N] is: department, group, noun or leaf."""
    if kind == "query":
        return np.select([keys["scope"] == GROUP, keys["scope"] == NOUN], [_GROUP, _NOUN], _LEAF)
    if kind == "type":
        return np.array([_DEPARTMENT, _GROUP, _LEAF])[keys["level"]]
    return np.full(len(keys["leaf"]), _LEAF)


def _relation(left: Keys, right: Keys, kinds: tuple[str, str]) -> np.ndarray:
    """How the kinds of the two sides relate: places in RELATIONS [N]."""
    first, second = _width(left, kinds[0]), _width(right, kinds[1])
    at = np.minimum(first, second)
    same = {name: (left[name] == right[name]) & (left[name] >= 0) for name in ("department", "group", "noun", "leaf")}
    meets = np.choose(at, [same["department"], same["group"], same["noun"], same["leaf"]])
    product = np.zeros(len(at), bool)
    if "product" in left and "product" in right:
        whole = [
            keys["scope"] == NAVIGATION if kind == "query" else True
            for keys, kind in ((left, kinds[0]), (right, kinds[1]))
        ]
        product = (left["product"] == right["product"]) & (left["product"] >= 0) & whole[0] & whole[1]
    return np.select(
        [product, meets & (first == second), meets & (first < second), meets, same["group"], same["department"]],
        list(range(6)),
        6,
    )


def _facts(left: Keys, right: Keys, kinds: tuple[str, str]) -> np.ndarray:
    """The relation, and for each slot what became of the value the left asks for: [N, len(FACTS)]."""
    columns = [_relation(left, right, kinds)]
    for slot in SLOTS:
        if "type" in kinds:
            columns.append(np.full(len(columns[0]), UNKNOWN))
            continue
        a, b = left[slot], right[slot]
        stated = [(a >= 0) & (b < 0), (a >= 0) & (a == b), a >= 0, (b >= 0) & (kinds[1] == "query")]
        columns.append(np.select(stated, [1, 2, 3, 4], 0))
    return np.stack(columns, axis=1)
