"""Registers the marker of the deployment tests."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "deploy: checks the deployment; needs the tools of requirements/deploy-*.in")
