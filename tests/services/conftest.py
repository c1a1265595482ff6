"""Tests that need more than pip installs by default, and minutes: make test-services."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "RELEVANCE_SERVICES" not in os.environ:
        for item in items:
            if "services" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="needs services and minutes: make test-services"))
