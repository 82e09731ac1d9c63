"""SHARE (arXiv:2510.15342): people of a standing camera anchored in its metric depth. `anchor_to_points` is its core."""

from diorama.methods.share.published import AnchorConfig, Anchored, anchor_to_points

__all__ = ["AnchorConfig", "Anchored", "anchor_to_points"]
