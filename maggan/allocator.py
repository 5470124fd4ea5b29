"""What becomes of memory that is freed: on CPUs a matter of speed."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # the numbers of glibc's settings, from malloc.h


def keep_freed_memory():
    """Have the C library keep what is freed for the next tensor, instead of handing it back to the system.

    A large tensor is otherwise new memory each time, and the system clears every page of it first, which can be more
    than half of an evaluation's time (`make bench`). Numbers do not change; the process stays as large as it once was.
    This is of glibc; elsewhere nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
