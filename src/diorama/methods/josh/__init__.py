"""JOSH (Liu et al. 2026): scene, cameras and people in one problem, tied by the contacts between people and scene."""
