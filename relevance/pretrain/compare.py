"""Two tables of entities → pairs and a clerk's shorthand of how their kinds and values relate.

("gray cornr couch", "Velmora corner sofa, grey, 1.6 m") → "samekind samecolour"
("corner couch black", "Velmora sofa cover, white")      → "othercolour nearkind"

These are facts of the catalogue, in any order. No task, no label and no grade of relevance is mentioned.
"""

import numpy as np

from relevance.data import recipes
from relevance.data.entities import Entities, Keys
from relevance.data.lexicon import SLOTS
from relevance.data.queries import GROUP, NAVIGATION, NOUN
from relevance.tasks import TASKS

_DEPARTMENT, _GROUP, _NOUN, _LEAF = range(4)


def comparisons(world: dict[str, Entities], count: int, rng: np.random.Generator) -> list[list[str]]:
    """About `count` documents of three texts each: left, right, how they compare."""
    documents: list[list[str]] = []
    for task, share in recipes.SHARES.items():
        left, right = world[TASKS[task].left], world[TASKS[task].right]
        # the rarer kinds of pair hold the tree: read them more often than users would label them
        size, own = count * (0.5 * share + 0.5 / 6), [one for one in recipes.RECIPES if one.task == task]
        for recipe in own:
            a, b = recipes.draw(recipe, left, right, int(size / len(own)) + 1, rng)
            kinds = (TASKS[task].left, TASKS[task].right)
            said = _shorthand(_taken(left.key, a), _taken(right.key, b), kinds, rng)
            documents += map(list, zip(left.text[a], right.text[b], said, strict=True))
    return [document for document in documents if document[0] != document[1]]


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
    """How the kinds of the two sides relate, in words [N]."""
    one, other = _width(left, kinds[0]), _width(right, kinds[1])
    at = np.minimum(one, other)
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
        [product, meets & (one == other), meets & (one < other), meets, same["group"], same["department"]],
        ["sameproduct", "samekind", "widerkind", "narrowerkind", "siblingkind", "nearkind"],
        "otherkind",
    )


def _shorthand(left: Keys, right: Keys, kinds: tuple[str, str], rng: np.random.Generator) -> list[str]:
    """The relation, and each value of the left that the right has, has not or has otherwise; N texts."""
    facts = [_relation(left, right, kinds)]
    for slot in SLOTS if "type" not in kinds else ():
        a, b = left[slot], right[slot]
        word = np.select(
            [(a >= 0) & (b < 0), (a >= 0) & (a == b), (a >= 0), (b >= 0) & (kinds[1] == "query")],
            [f"no{slot}", f"same{slot}", f"other{slot}", f"more{slot}"],
            "",
        )
        facts.append(word)
    table = rng.permuted(np.stack(facts, axis=1), axis=1)
    return [" ".join(filter(None, row)) for row in table.tolist()]
