"""What a number rests on beside its question: the code's commit and the versions of its packages."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "transformers", "peft", "lightning", "mlflow", "numpy", "pandas", "pyarrow", "scikit-learn")
DERIVING = ("duckdb", "numpy", "pyarrow", "scikit-learn", "transformers")


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of what numbers depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


@cache
def commit() -> dict[str, str]:
    """The code's commit, and whether files differ from it; empty outside a checkout of this code."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # an installed package may lie in a user's repository
        return {
            "git_commit": git("rev-parse", "HEAD"),
            "git_dirty": str(bool(git("status", "--porcelain"))).lower(),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"git_commit": "", "git_dirty": ""}
