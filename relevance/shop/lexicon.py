"""lexicon.json → the words of a shop, and which of its texts belong to which world.

{"names": ["furniture", "home furnishings"], "key": "material", "modifiers": ["corner", ...],
 "groups": [{"names": ["seating", ...], "nouns": {"sofa": ["couch", "settee"], ...}}, ...], ...}

Two worlds share the words and no entity: "shop" is the data of a user, "pretraining" is what the
embedded backbones read. A name falls to one of them by a hash of its own text, so the worlds of all
seeds stay disjoint.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from random import Random

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
