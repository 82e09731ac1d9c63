"""Threads of torch: the small tensors of a solve are slower on two threads than on one, far slower on a busy machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_thread() -> Iterator[int]:
    """Run the block with one torch thread; yields the number there was, which independent solves may use as workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
