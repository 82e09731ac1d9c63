"""`export` writes any subset of the known formats; what cannot be written is refused in one line before anything is."""

import dataclasses
import importlib.util
import logging
import subprocess
import sys

import numpy as np
import pytest

from diorama import cli
from diorama.errors import DioramaError
from diorama.export import FORMATS, ExportOptions, export
from diorama.reconstruction import Scene, load

FILES = {
    "glb": ["world.glb"],
    "usd": ["world.usdc"],
    "amass": [
        *("amass/person_003.npz", "amass/person_005.npz", "amass/person_005_part2.npz"),
        *("amass/person_003_free_body.npz", "amass/person_003_smpl24.npz"),
        *("amass/person_005_free_body.npz", "amass/person_005_smpl24.npz"),
    ],
    "bvh": ["bvh/person_003.bvh", "bvh/person_005.bvh", "bvh/person_005_part2.bvh", "bvh/index.csv"],
    "colmap": [
        f"colmap/sparse/0/{name}.{form}" for form in ("txt", "bin") for name in ("cameras", "images", "points3D")
    ],
    "tum": ["camera.tum"],
    "ply": ["scene.ply"],
    "csv": ["csv/joints.csv", "csv/angles.csv"],
    "mp4": ["world.mp4"],
}


def nothing_seen(world):
    return world.replace(scene=Scene(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)))


@pytest.fixture(autouse=True)
def _optional(request):
    """Formats whose package is not here are skipped."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name in FORMATS and not importable(FORMATS[name].extra):
        pytest.skip(f"no package for {name}")


@pytest.mark.parametrize("name", FILES)
def test_every_format_writes_its_files_and_nothing_else(world, tmp_path, name):
    paths = export(world, tmp_path, [name])
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == FILES[name]
    assert sorted(path for path in tmp_path.rglob("*.*") if path.is_file()) == sorted(paths)
    assert all(path.stat().st_size > 0 for path in paths)


def test_this_list_is_whole():
    assert set(FILES) == set(FORMATS)


def test_a_saved_result_exports_to_the_same_bytes(world, tmp_path):
    exact = [name for name in FILES if name not in ("mp4", "usd")]
    before = export(world, tmp_path / "a", exact)
    after = export(load(world.save(tmp_path / "saved")), tmp_path / "b", exact)
    assert [path.read_bytes() for path in before] == [path.read_bytes() for path in after]


@pytest.mark.parametrize("formats", [["glb", "vrml"], []])
def test_unknown_format(world, tmp_path, formats):
    with pytest.raises(DioramaError, match="glb, usd, amass"):
        export(world, tmp_path, formats)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["walk.glb", "walk.bvh", "walk.npz", "camera.tum", "scene.ply", "walk.csv"])
def test_by_the_ending(world, tmp_path, name):
    walker = world.replace(people=world.people[:1])
    assert walker.export(tmp_path / "out" / name)[0] == tmp_path / "out" / name
    assert (tmp_path / "out" / name).stat().st_size > 0


def test_a_folder_by_name(world, tmp_path):
    assert len(world.export(tmp_path / "model", format="colmap")) == 6


FAULTS = {
    "no frames": (lambda w: cut(w, 0), "walk.glb", "no frames"),
    "nobody": (lambda w: w.replace(people=()), "walk.bvh", "no people"),
    "nobody, a table": (lambda w: w.replace(people=()), "walk.csv", "no people"),
    "no points": (nothing_seen, "scene.ply", "no scene points"),
    "unknown ending": (lambda w: w, "walk.fbx", "no format has the ending '.fbx'.*choose from .glb"),
    "no ending": (lambda w: w, "walk", 'format="colmap"'),
    "a frame of a person": (lambda w: spoiled(w, "transl"), "walk.npz", "person 3: not finite in frames 4-6"),
    "a frame of the camera": (lambda w: lost_camera(w), "camera.tum", "cameras: not finite in frame 9;"),
}


def cut(world, count):
    cameras = dataclasses.replace(
        world.cameras,
        **{n: getattr(world.cameras, n)[:count] for n in ("K", "T_world_camera", "distortion", "registered")},
    )
    rows = {n: getattr(world, n)[:count] for n in ("times", "frame_index", "duplicate")}
    return world.replace(**rows, cameras=cameras, people=())


def spoiled(world, name):
    values = getattr(world.people[0], name).copy()
    values[4:7] = np.nan
    return world.replace(people=(dataclasses.replace(world.people[0], **{name: values}), *world.people[1:]))


def lost_camera(world):
    T = world.cameras.T_world_camera.copy()
    T[9, 0, 3] = np.inf
    return world.replace(cameras=dataclasses.replace(world.cameras, T_world_camera=T))


@pytest.mark.parametrize("case", FAULTS)
def test_every_fault_is_one_line_and_leaves_nothing(world, tmp_path, case):
    spoil, name, said = FAULTS[case]
    with pytest.raises(DioramaError, match=said) as caught:
        spoil(world).export(tmp_path / name)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_a_path_that_cannot_be_written(world, tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(DioramaError, match="cannot write"):
        export(world, tmp_path / "file" / "sub", [name])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_rate_that_one_format_cannot_have_stops_all_before_anything_is_written(world, tmp_path):
    with pytest.raises(DioramaError, match="whole number"):
        export(world, tmp_path, ["tum", "amass"], ExportOptions(fps=29.97))
    assert not list(tmp_path.iterdir())


def test_fixed_axes_and_units_are_told(world, tmp_path, caplog):
    export(world, tmp_path, ["glb", "amass"], ExportOptions(up="z", unit="cm"))
    assert "glb stays +Y up" in caplog.text and "amass stays +Z up" in caplog.text


def test_a_missing_package_is_told_with_the_command(world, tmp_path, monkeypatch):
    entry = dataclasses.replace(FORMATS["tum"], extra=("no_such_package", "usd"))
    monkeypatch.setitem(FORMATS, "tum", entry)
    with pytest.raises(DioramaError, match=r'pip install "diorama\[usd\]"'):
        export(world, tmp_path, ["tum"])


def test_all_leaves_out_what_cannot_be_and_says_so(world, tmp_path, caplog):
    paths = export(nothing_seen(world).replace(people=()), tmp_path, ["all"])
    made = {path.relative_to(tmp_path).parts[0] for path in paths}
    assert {"world.glb", "colmap", "camera.tum"} <= made and not {"bvh", "amass", "csv", "scene.ply"} & made
    for name in ("bvh", "amass", "csv", "ply"):
        assert f"left out: {name}" in caplog.text


def test_the_licence_of_a_body_is_told_once(world, tmp_path, caplog):
    smpl = dataclasses.replace(world.people[0], body="smpl")
    meshes = [name for name, entry in FORMATS.items() if entry.mesh and importable(entry.extra)]
    export(world.replace(people=(smpl,)), tmp_path, [*meshes, "bvh"])
    told = [record for record in caplog.records if "non-commercial" in record.getMessage()]
    assert len(told) == 1 and "bvh" not in told[0].getMessage()
    caplog.clear()
    export(world, tmp_path, meshes)
    assert "non-commercial" not in caplog.text


def importable(extra):
    return extra is None or importlib.util.find_spec(extra[0]) is not None


def test_a_body_model_that_is_not_here_stops_only_files_with_meshes(world, tmp_path, monkeypatch):
    def missing(name):
        raise DioramaError("not here", where=name, fix="fetch it")

    monkeypatch.setattr("diorama.export.skin.load_body", missing)
    assert export(world, tmp_path, ["bvh", "amass", "csv"])
    with pytest.raises(DioramaError, match="not here"):
        export(world, tmp_path, ["bvh", "glb"])


@pytest.fixture
def _quiet_logger():
    """The command line gives the logger of the library a handler; other tests want it as it was."""
    logger = logging.getLogger("diorama")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.mark.usefixtures("_quiet_logger")
def test_from_the_command_line(world, tmp_path, capsys):
    folder = world.save(tmp_path / "out")
    cli.main(["export", str(folder), "--to", "bvh", "ply", "--up", "z", "--unit", "m", "--fps", "50"])
    assert capsys.readouterr().out.splitlines()[0] == str(folder / "export" / "bvh" / "person_003.bvh")
    assert "Frame Time: 0.020000000000" in (folder / "export" / "bvh" / "person_003.bvh").read_text()


def test_import_is_light():
    code = "import sys, diorama.export; sys.exit(bool({'torch', 'numpy', 'viser', 'pxr'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def only(person, rows):
    names = ("frames", "global_orient", "body_pose", "transl", "joints_world", "contacts", "observed", "confidence")
    return dataclasses.replace(person, **{name: getattr(person, name)[rows] for name in names})


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fps", [None, 30.0])
def test_a_single_frame_and_a_person_without_frames(world, tmp_path, name, fps):
    people = (only(world.person(3), slice(0, 1)), only(world.person(5), slice(0, 0)))
    short = cut(world, 1).replace(people=people)
    ideal = dataclasses.replace(short.cameras, distortion=np.zeros((1, 0)))
    paths = export(short.replace(cameras=ideal), tmp_path, [name], ExportOptions(fps=fps))
    assert all(path.stat().st_size > 0 for path in paths) and not any("005" in path.name for path in paths)
