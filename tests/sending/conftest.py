"""The modules of v0.1.0, for the tests of an upgrade."""

from collections.abc import Iterator

import pytest

from tests.sending.old_replica import OldModules


@pytest.fixture(scope="session")
def old_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldModules]:
    """The modules of v0.1.0."""
    modules = OldModules(tmp_path_factory.mktemp("old"))
    yield modules
    modules.forget()
