"""Threads: the small matrices of a solve are slower on two threads than on one, several times so on a busy machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache

import scipy.linalg  # noqa: F401 - its BLAS must be loaded before BLAS libraries are looked for
import torch
from threadpoolctl import ThreadpoolController


@contextlib.contextmanager
def one_thread() -> Iterator[int]:
    """Run the block with one thread of torch and of BLAS; yields the number torch had, which independent solves may use as
    workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield before
    finally:
        torch.set_num_threads(before)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
