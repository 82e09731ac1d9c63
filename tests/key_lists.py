"""Names and shapes of published checkpoints beside the project; tests that need one skip where they are absent."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"


def published(name: str) -> dict[str, tuple[int, ...]]:
    """The list of a checkpoint of ../shared; the test skips where it is absent."""
    path = REFERENCE / f"{name}_checkpoint_keys.json"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return {key: tuple(shape) for key, shape in json.loads(path.read_text()).items()}


def under(prefix: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The part of a list under a prefix, without it."""
    return {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}


def shapes_of(build) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network that is built without memory."""
    with torch.device("meta"):
        network: nn.Module = build()
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}
