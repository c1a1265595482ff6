"""A name as a person gives it → the name of a folder or file: never a path, the same name for the same name.

"nightly" → "nightly"    "a b" → "a-b-c8687a08"    "../../x" → "x-9cdf6a50"
"""

import hashlib
import re

LONGEST = 80  # characters


def slug(name: str) -> str:
    """A folder name of letters, digits and ._- for `name`: itself where it is one, else marked by a digest.

    The digest keeps two names that differ only in other characters from sharing a folder.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    if plain == name and name.strip(".") and len(name) <= LONGEST:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain.strip('.-')[: LONGEST - 9] or 'sweep'}-{mark}"
