"""Real clips beside the project; tests that need one skip where they are absent."""

from pathlib import Path

import pytest

CLIPS = Path(__file__).parents[2] / "shared" / "clips"


def clip(name: str) -> Path:
    """A real clip of ../shared; the test skips where it is absent."""
    path = CLIPS / f"{name}.mp4"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path
