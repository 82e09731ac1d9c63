"""`import diorama` and `--help` are instant: nothing heavy is loaded before it is needed."""

import subprocess
import sys
import time

import pytest

HEAVY = (
    "torch",
    "safetensors",
    "huggingface_hub",
    "cv2",
    "pycolmap",
    "scipy",
    "viser",
    "trimesh",
    "av",
    "ai_edge_litert",
)
PROBE = """
import sys
{statement}
loaded = [name for name in {heavy!r} if name in sys.modules]
assert not loaded, loaded
"""


def run(*arguments: str) -> float:
    began = time.perf_counter()
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return time.perf_counter() - began


@pytest.mark.parametrize("statement", ["import diorama", "import diorama.cli"])
def test_nothing_heavy_is_loaded(statement):
    run("-c", PROBE.format(statement=statement, heavy=HEAVY))


@pytest.mark.parametrize("arguments", [("-c", "import diorama"), ("-m", "diorama", "--help")])
def test_half_a_second_is_enough(arguments):
    empty = min(run("-c", "pass") for _ in range(3))
    # Best of several, less what the bare interpreter takes: the machine may be busy with other tests.
    assert min(run(*arguments) for _ in range(5)) - empty < 0.5


def test_every_public_name_is_there():
    import diorama

    assert set(diorama.__all__) == set(dir(diorama)) - {"__version__"}
    for name in diorama.__all__:
        assert callable(getattr(diorama, name))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = diorama.nonsense
