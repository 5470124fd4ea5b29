"""Which tests share a process when `make test` runs them side by side."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keep each test file together, and the notebooks that train and judge one row in one process."""
    for item in items:
        row = item.path.suffix == ".ipynb" and item.path.name >= "06"
        item.add_marker(pytest.mark.xdist_group("a-row" if row else item.path.name))
