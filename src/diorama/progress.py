"""Progress of long work on the terminal; silent where nobody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress_bar(
    items: Iterable[Item], *, desc: str, total: int | None = None, unit: str = "frame", show: bool = True
) -> Iterable[Item]:
    """`items`, with a bar on standard error while they are consumed (none if `DIORAMA_QUIET` is set or in a pipe)."""
    hidden = not show or bool(os.environ.get("DIORAMA_QUIET")) or not sys.stderr.isatty()
    return tqdm(items, desc=desc, total=total, unit=unit, disable=hidden, leave=False, dynamic_ncols=True)
