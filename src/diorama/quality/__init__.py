"""The quality card of a result: figures that say how far to trust it, as a dictionary and as one picture."""

from diorama.quality.card import quality_card
from diorama.quality.drawing import draw_card

__all__ = ["draw_card", "quality_card"]
