"""Sizes and a seed → a shop: a tree of product types, brands, products and the items that list them.

Leaf(department=0, group=2, modifier="corner", noun="sofa", names=["corner sofa", "corner couch", ...])
Item(product=204, title="Velmora corner couch, gray velvet, 1.6 m - with storage")

Two worlds share the words of lexicon.json and no entity: "shop" is the data of a user, "pretraining" is what the
embedded backbones read. A name falls to one of them by a hash of its own text.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import NamedTuple

from relevance.errors import UserError

WORLDS = ("shop", "pretraining")
SLOTS = ("brand", "colour", "material", "size", "feature")


@cache
def load_lexicon() -> dict:
    """The lexicon: `synonyms` of modifiers and attribute values, and the `departments`."""
    return json.loads(Path(__file__).with_name("lexicon.json").read_text(encoding="utf-8"))


def world_index(world: str) -> int:
    """Position of `world` in WORLDS; raises UserError for another name."""
    if world not in WORLDS:
        raise UserError(f"world={world}: unknown; available: {', '.join(WORLDS)}")
    return WORLDS.index(world)


def belongs(text: str, world: int) -> bool:
    """Whether the hash of `text` falls to the world of this index."""
    return hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % len(WORLDS) == world


def spellings(phrase: str) -> list[str]:
    """The phrase and its synonyms: "grey" → ["grey", "gray"]."""
    return [phrase, *load_lexicon()["synonyms"].get(phrase, [])]


def misspell(text: str, random: Random) -> str:
    """`text` with one letter of a longer word dropped, swapped with the next or doubled."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    if not long:
        return text
    index = random.choice(long)
    word, at = words[index], random.randrange(1, len(words[index]) - 1)
    words[index] = random.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at] + word[at:],
        )
    )
    return " ".join(words)


@dataclass(frozen=True)
class Sizes:
    leaves: int  # product types that items have
    products: int  # every fourth is listed twice
    brands: int  # of a department, at least
    wants: int  # of those that are made from products, and varied

    @classmethod
    def of(cls, rows: int) -> "Sizes":
        """Fit for about `rows` pairs of all tasks: a leaf type for each 80, a product for each 8."""
        return cls(max(60, rows // 80), max(240, rows // 8), 8 + rows // 20_000, max(120, rows // 24))


_ONSETS = (*"bcdfghjklmnprstvwz", "br", "dr", "fl", "gr", "kl", "pr", "qu", "st", "tr")
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "io", "ou"]
_ENDINGS = ["x", "n", "ra", "lio", "vex", "nor", "ta", "sk", "dine", "mo", "que", "ling", "bert", "zo"]


class Leaf(NamedTuple):
    """A product type that items have; `names[0]` is its name, the others are its aliases."""

    department: int
    group: int  # counted over all departments
    modifier: str
    noun: str
    names: list[str]
    accessory: bool


class Product(NamedTuple):
    leaf: int
    values: tuple[str, ...]  # one for each of SLOTS, "" where it has none


class Item(NamedTuple):
    product: int
    title: str


@dataclass(frozen=True)
class Catalogue:
    """Everything a shop sells. `group_names` and `group_department` are aligned."""

    world: int
    departments: list[str]
    group_names: list[str]
    group_department: list[int]
    leaves: list[Leaf]
    products: list[Product]
    items: list[Item]


def build_catalogue(sizes: Sizes, random: Random, world: int) -> Catalogue:
    """A catalogue of these sizes; of fewer leaves where the lexicon gives no more."""
    departments = load_lexicon()["departments"]
    groups = [(d, group) for d, department in enumerate(departments) for group in _groups(department)]
    leaves = _leaves(sizes.leaves, random, world)
    products = _products(sizes.products, leaves, _brands(sizes.brands, random, world), random)
    return Catalogue(
        world=world,
        departments=[department["names"][world] for department in departments],
        group_names=[group["names"][world] for _, group in groups],
        group_department=[d for d, _ in groups],
        leaves=leaves,
        products=products,
        items=_items(products, leaves, random),
    )


def most_leaves(world: int) -> int:
    """How many leaves the lexicon gives a world, whatever the seed."""
    return len(_leaves(sys.maxsize, Random(0), world))


def _groups(department: dict) -> list[dict]:
    return [*department["groups"], department["accessories"]]


def _leaves(count: int, random: Random, world: int) -> list[Leaf]:
    """Types of one modifier first, then of two, at most `count`; no name twice."""
    taken: set[str] = set()
    leaves: list[Leaf] = []
    for modifiers in (1, 2, 3):
        wanted = [leaf for leaf in _candidates(modifiers) if belongs(f"{leaf[2]} {leaf[3]}", world)]
        random.shuffle(wanted)
        for department, group, modifier, noun, synonyms in wanted[: count - len(leaves)]:
            modifier_names = [modifier, *synonyms.get(modifier, spellings(modifier)[1:])]
            names = [f"{m} {n}" for m, n in product(modifier_names, [noun, *synonyms[noun]])]
            names = [name for name in dict.fromkeys(names) if name not in taken]
            if f"{modifier} {noun}" in names:
                taken.update(names)
                leaves.append(Leaf(department, group, modifier, noun, names, modifier in synonyms))
    return leaves


def _candidates(modifiers: int) -> Iterator[tuple[int, int, str, str, dict[str, list[str]]]]:
    """Department, group, modifier, noun and the synonyms of the department's nouns."""
    count = 0
    for d, department in enumerate(load_lexicon()["departments"]):
        things = {noun: also for group in department["groups"] for noun, also in group["nouns"].items()}
        for group in _groups(department):
            synonyms = things | group["nouns"]
            accessory = group is department["accessories"]
            words = list(things) if accessory else department["modifiers"]
            for chosen, noun in product(combinations(words, modifiers), group["nouns"]):
                if modifiers == 1 or not accessory:
                    yield d, count, " ".join(chosen), noun, synonyms
            count += 1


def _brands(count: int, random: Random, world: int) -> list[list[str]]:
    """`count` invented names for each department, or more; half of them sell in two departments."""
    departments = len(load_lexicon()["departments"])
    brands: list[list[str]] = [[] for _ in range(departments)]
    taken: set[str] = set()
    while min(len(names) for names in brands) < count:
        syllables = (random.choice(_ONSETS) + random.choice(_VOWELS) for _ in range(random.choice((1, 2, 2))))
        name = ("".join(syllables) + random.choice(_ENDINGS)).capitalize()
        if name not in taken and belongs(name, world):
            taken.add(name)
            for department in random.sample(range(departments), random.choice((1, 2))):
                brands[department].append(name)
    return brands


def _products(count: int, leaves: list[Leaf], brands: list[list[str]], random: Random) -> list[Product]:
    """The key attribute of the department is always given, the others mostly."""
    products = []
    for leaf in random.choices(range(len(leaves)), k=count):
        department = load_lexicon()["departments"][leaves[leaf].department]
        others = (
            random.choice(department[slot]) if slot == department["key"] or random.random() < 0.72 else ""
            for slot in SLOTS[1:]
        )
        products.append(Product(leaf, (random.choice(brands[leaves[leaf].department]), *others)))
    return products


def _items(products: list[Product], leaves: list[Leaf], random: Random) -> list[Item]:
    """One listing of each product, two of every fourth; no title twice."""
    nouns: dict[int, list[str]] = {}
    for leaf in leaves:
        nouns.setdefault(leaf.department, []).append(leaf.noun)
    items: dict[str, Item] = {}
    for index, listed in enumerate(products):
        for _ in range(2 if index % 4 == 0 else 1):
            leaf = leaves[listed.leaf]
            title = _title(leaf, listed.values, random.choice(nouns[leaf.department]), random)
            items.setdefault(title, Item(index, title))
    return list(items.values())


def _title(leaf: Leaf, values: tuple[str, ...], companion: str, random: Random) -> str:
    """One of four orders of brand, type and attributes; some name a companion that they are not."""
    kind = random.choice(leaf.names)
    if leaf.accessory and random.random() < 0.4:
        kind = f"{leaf.noun} for {leaf.modifier}"
    brand, colour, material, size, feature = (value and random.choice(spellings(value)) for value in values)
    parts = random.choice(
        (
            (f"{brand} {kind}", colour, material, size, feature),
            (" ".join(filter(None, (brand, colour, material, kind))), size, feature),
            (" ".join(filter(None, (colour, kind))), feature, material, size, f"by {brand}"),
            (f"{brand} {kind} {feature}".strip(), size, material, colour),
        )
    )
    title = ", ".join(filter(None, parts))
    return f"{title}, goes with {companion}" if random.random() < 0.15 else title
