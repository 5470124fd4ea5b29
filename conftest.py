"""Which tests share a process when `make test` runs them side by side."""

import pytest

from maggan.basics import paths

paths.settle()  # the kernels of notebooks run in the notebooks' folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep each test file together, and the notebooks that train and judge one row in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            return "a row" if file >= "notebooks/06" and file.endswith(".ipynb") else file

    return ByFile(config, log)
