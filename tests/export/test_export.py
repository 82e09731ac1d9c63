"""`export` writes any subset of the known formats and refuses others in one line."""

import subprocess
import sys

import pytest

from diorama.errors import DioramaError
from diorama.export import FORMATS, export
from diorama.reconstruction import load


def test_every_format(world, tmp_path):
    paths = export(world, tmp_path, list(FORMATS))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "world.glb",
        "amass/person_003.npz",
        "amass/person_005.npz",
        "amass/person_005_part2.npz",
    ]
    assert all(path.stat().st_size > 0 for path in paths)


def test_a_saved_result_exports_to_the_same_bytes(world, tmp_path):
    before = export(world, tmp_path / "a", list(FORMATS))
    after = export(load(world.save(tmp_path / "saved")), tmp_path / "b", list(FORMATS))
    assert [path.read_bytes() for path in before] == [path.read_bytes() for path in after]


@pytest.mark.parametrize("formats", [["glb", "vrml"], []])
def test_unknown_format(world, tmp_path, formats):
    with pytest.raises(DioramaError, match="glb, amass"):
        export(world, tmp_path, formats)
    assert not list(tmp_path.iterdir())


def test_import_is_light():
    code = "import sys, diorama.export; sys.exit(bool({'torch', 'numpy', 'viser'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
