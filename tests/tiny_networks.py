"""Folders with the weights of tiny networks of random numbers, as the networks' `save` writes them."""

from pathlib import Path

import torch

from diorama.networks.josh3r import JOSH3R, JOSH3RConfig
from diorama.networks.mast3r import MASt3R, MASt3RConfig
from random_weights import shaken

RANDOM_LICENCE = "CC0-1.0 (random numbers)"


def josh3r_weights(folder: Path, seed: int = 0) -> Path:
    """Both networks, each in a folder of its name."""
    torch.manual_seed(seed)
    mast3r_weights(folder / "mast3r", seed)
    shaken(JOSH3R(JOSH3RConfig.tiny()), seed).save(folder / "josh3r", licence=RANDOM_LICENCE)
    return folder


def mast3r_weights(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    shaken(MASt3R(MASt3RConfig.tiny()), seed).save(folder, licence=RANDOM_LICENCE)
    return folder
