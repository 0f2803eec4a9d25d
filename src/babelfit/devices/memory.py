"""Memory of this process that is no longer used. How batches are kept small enough: batches/budget.py."""

import ctypes
import gc
import sys


def return_freed_memory() -> None:
    """Give the system what is no longer used: C libraries keep freed memory, whatever comes next."""
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
