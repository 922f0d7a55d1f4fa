"""Drawn images of discs, and a model that finds them."""

from __future__ import annotations

import pytest

from pupila.store import Store
from pupila.testing import disc_dataset, disc_locator


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return disc_dataset(tmp_path_factory.mktemp("discs"))


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def locator(store):
    return disc_locator(store)
