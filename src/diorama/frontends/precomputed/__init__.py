"""Results of other tools, read from one documented folder layout (docs/precomputed.md), and observations written into it."""

from diorama.frontends.precomputed.presets import PRESETS, Preset
from diorama.frontends.precomputed.reader import read_precomputed
from diorama.frontends.precomputed.writer import write_precomputed

__all__ = ["PRESETS", "Preset", "read_precomputed", "write_precomputed"]
