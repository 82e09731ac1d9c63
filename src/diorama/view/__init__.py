"""Looking at a result in the browser."""

from __future__ import annotations

from diorama.view.viewer import view

__all__ = ["view"]
