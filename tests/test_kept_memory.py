"""Freed memory that is kept: after a while a tensor needs no new pages."""

import platform
import subprocess
import sys

import pytest

NEW_PAGES = """
import resource, torch
from maggan.basics.parallel import keep_freed_memory

{keep}
for tensor in range(20):
    if tensor == 16:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library here is not glibc")
def test_kept_memory_is_used_again():
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", NEW_PAGES.format(keep=keep)], check=True, capture_output=True).stdout)
        for keep in ("keep_freed_memory()", "")
    )
    # four tensors of 64 MB: 65,536 pages of 4 KB, fewer where pages are larger
    assert kept < given_back / 10
