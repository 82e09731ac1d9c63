"""diorama: one ordinary video becomes a metric, gravity-aligned 4D world.

The public names are loaded on first use, so that `import diorama` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_HOMES = {
    "reconstruct": "diorama.reconstruct",
    "load": "diorama.reconstruction",
    "Reconstruction": "diorama.reconstruction",
    "Observations": "diorama.observations",
    "Video": "diorama.video",
    "open_video": "diorama.video",
    "DioramaError": "diorama.errors",
}

if TYPE_CHECKING:
    from diorama.errors import DioramaError
    from diorama.observations import Observations
    from diorama.reconstruct import reconstruct
    from diorama.reconstruction import Reconstruction, load
    from diorama.video import Video, open_video

__all__ = ["DioramaError", "Observations", "Reconstruction", "Video", "load", "open_video", "reconstruct"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'diorama' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])
