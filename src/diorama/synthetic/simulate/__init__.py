"""Simulated observations: an exact truth seen through front ends whose every error is a named, seeded knob."""

from diorama.synthetic.simulate.exact_view import CachedView, ExactView, WorldView
from diorama.synthetic.simulate.presets import PRESETS, josh_appendix_f
from diorama.synthetic.simulate.simulation import SimulationConfig, simulate

__all__ = ["PRESETS", "CachedView", "ExactView", "SimulationConfig", "WorldView", "josh_appendix_f", "simulate"]
