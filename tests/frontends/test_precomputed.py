"""Observations come back from the folder of precomputed results, in whatever form other tools leave them."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from diorama.body.anny import load_free_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.errors import DioramaError
from diorama.frontends.precomputed import PRESETS, read_precomputed, write_precomputed, writer
from diorama.frontends.precomputed.contacts import contacts_of_sites, site_vertices
from diorama.frontends.precomputed.presets import LAYOUT, PARTS
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.methods.observed import reconstruct_observed
from diorama.synthetic.simulate import PRESETS as SIMULATED
from diorama.synthetic.simulate import simulate
from precomputed_folders import FRAMES, HEIGHT, WIDTH, assert_same, edit_json, edit_npz, every_part
from simulated_world import simulated_world

PAGE = Path(__file__).parents[2] / "docs" / "precomputed.md"


@pytest.fixture(scope="module")
def free_body():
    try:
        return load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")


@pytest.fixture
def folder(tmp_path):
    write_precomputed(every_part(), tmp_path / "folder")
    return tmp_path / "folder"


# Round trips


def test_every_part_and_every_optional_array_comes_back(folder):
    assert_same(every_part(), read_precomputed(folder))


@pytest.mark.parametrize("part", PARTS)
def test_every_part_may_be_missing(tmp_path, part):
    seen = replace(every_part(), **{part: None})
    write_precomputed(seen, tmp_path / "f")
    assert_same(seen, read_precomputed(tmp_path / "f"))


def test_nobody_and_nothing_come_back_too(tmp_path):
    seen = every_part()
    seen = replace(
        seen,
        tracks=replace(seen.tracks, people=()),
        bodies=replace(seen.bodies, people=()),
        contacts=replace(seen.contacts, ids=(), frames=(), probability=(), sites=CONTACT_SITE_NAMES),
        depth=None,
    )
    write_precomputed(seen, tmp_path / "f")
    assert_same(seen, read_precomputed(tmp_path / "f"))


@pytest.mark.parametrize("preset", ["exact", "hard"])
def test_simulated_observations_come_back(free_body, tmp_path, preset):
    truth, view = simulated_world("walk", 20)
    seen = simulate(truth, view, replace(SIMULATED[preset], grid=48), 0)
    write_precomputed(seen, tmp_path / "f")
    back = read_precomputed(tmp_path / "f")
    assert_same(seen, back)
    a, b = reconstruct_observed(None, seen), reconstruct_observed(None, back)
    np.testing.assert_allclose(a.people[0].transl, b.people[0].transl, rtol=0, atol=1e-6)


# Poses and lenses, against poses made here from scipy's quaternions


def test_a_trajectory_of_times_is_camera_to_world(folder):
    true, rng = every_part(), np.random.default_rng(4)
    rotations = Rotation.random(FRAMES, random_state=5)
    centres = rng.normal(size=(FRAMES, 3))
    jitter = rng.uniform(-0.01, 0.01, FRAMES)
    rows = np.column_stack([true.times + jitter, centres, rotations.as_quat()])[::-1]
    np.savetxt(folder / "cameras" / "poses.txt", rows, header="timestamp tx ty tz qx qy qz qw")
    edit_json(folder / "cameras" / "about.json", stamps=None, interpolated=None)
    cameras = read_precomputed(folder).cameras
    np.testing.assert_allclose(cameras.T_world_camera[:, :3, 3], centres, atol=1e-9)
    np.testing.assert_allclose(cameras.T_world_camera[:, :3, :3], rotations.as_matrix(), atol=1e-9)
    assert cameras.registered.all()


def test_frames_without_a_pose_lie_between_their_neighbours(folder):
    turn = Rotation.from_rotvec([[0, 0, 0], [0, 0.6, 0]]).as_quat()
    np.savetxt(folder / "cameras" / "poses.txt", np.column_stack([[1, 3], [[0, 0, 0], [2, 0, 0]], turn]))
    edit_json(folder / "cameras" / "about.json", interpolated=None)
    seen = read_precomputed(folder)
    share = (seen.times[2] - seen.times[1]) / (seen.times[3] - seen.times[1])
    middle = seen.cameras.T_world_camera[2]
    np.testing.assert_allclose(middle[:3, 3], [2 * share, 0, 0], atol=1e-12)
    np.testing.assert_allclose(Rotation.from_matrix(middle[:3, :3]).as_rotvec(), [0, 0.6 * share, 0], atol=1e-12)
    np.testing.assert_array_equal(np.flatnonzero(seen.cameras.registered), [1, 3])
    np.testing.assert_allclose(seen.cameras.T_world_camera[0], seen.cameras.T_world_camera[1], atol=1e-12)


def test_a_colmap_model_projects_as_colmap_does(folder):
    """COLMAP's own library writes the model and projects; the model is of pictures half as large."""
    import pycolmap

    points = np.random.default_rng(3).uniform([-2, -1, 4], [2, 1, 8], (20, 3))
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(
        model="RADIAL", width=WIDTH // 2, height=HEIGHT // 2, params=[40.0, 23.0, 17.0, 0.05, -0.02], camera_id=7
    )
    model.add_camera_with_trivial_rig(camera)
    wanted = {}
    for row in (1, 2, 4):
        turn = pycolmap.Rotation3d(Rotation.from_rotvec([0.05 * row, -0.1, 0.03]).as_matrix())
        pose = pycolmap.Rigid3d(turn, np.array([0.1 * row, 0.2, -0.3]))
        name = f"clip2/frame_{row:04d}.jpg"
        model.add_image_with_trivial_frame(pycolmap.Image(name, camera_id=7, image_id=20 - row), pose)
        in_camera = np.array([pose * point for point in points])
        wanted[row] = 2 * np.array([camera.img_from_cam(point) for point in in_camera])
    for point in points:
        model.add_point3D(point, pycolmap.Track(), np.array([1, 2, 3], np.uint8))
    for path in (folder / "cameras").iterdir():
        path.unlink()
    model.write_text(folder / "cameras")
    edit_json(folder / "cameras" / "about.json", metric=True, interpolated=[2])
    cameras = read_precomputed(folder).cameras
    for row, pixels in wanted.items():
        in_camera = apply(invert(cameras.T_world_camera[row]), points)
        np.testing.assert_allclose(project(in_camera, cameras.K[row], cameras.distortion[row]), pixels, atol=1e-8)
    np.testing.assert_array_equal(np.flatnonzero(cameras.registered), [1, 4])
    assert cameras.metric and cameras.kind == "translating"
    np.testing.assert_allclose(np.sort(cameras.points_world, 0), np.sort(points, 0), atol=1e-12)
    assert (cameras.colors == [1, 2, 3]).all()


@pytest.mark.parametrize("lines", [1, FRAMES])
def test_intrinsics_as_text(folder, lines):
    (folder / "cameras" / "intrinsics.npz").unlink()
    text = "\n".join(f"{100 + n} 101 48.5 32.5 0.1" for n in range(lines))
    (folder / "cameras" / "intrinsics.txt").write_text(f"# fx fy cx cy k1\n{text}\n")
    cameras = read_precomputed(folder).cameras
    np.testing.assert_array_equal(cameras.K[-1], [[100 + lines - 1, 0, 48.5], [0, 101, 32.5], [0, 0, 1]])
    np.testing.assert_array_equal(cameras.distortion, np.full((FRAMES, 1), 0.1))


def test_the_kind_of_camera_shows_in_its_poses(folder):
    edit_json(folder / "cameras" / "about.json", kind=None)
    assert read_precomputed(folder).cameras.kind == "translating"
    turns = Rotation.random(FRAMES, random_state=2).as_quat()
    for quaternions, kind in ((turns, "rotating"), (np.tile(turns[:1], (FRAMES, 1)), "static")):
        rows = np.column_stack([np.arange(FRAMES), np.ones((FRAMES, 3)), quaternions])
        np.savetxt(folder / "cameras" / "poses.txt", rows)
        assert read_precomputed(folder).cameras.kind == kind


def test_a_static_camera_needs_no_poses(folder):
    (folder / "cameras" / "poses.txt").unlink()
    edit_json(folder / "cameras" / "about.json", kind="static", interpolated=None)
    np.testing.assert_array_equal(read_precomputed(folder).cameras.T_world_camera, np.tile(np.eye(4), (FRAMES, 1, 1)))


# Conventions


def test_pixels_of_half_the_size_with_centres_at_integers(folder):
    """The same numbers as such a tool would write them."""
    integer = {"pixel_centres": "integer", "size": [WIDTH // 2, HEIGHT // 2]}

    def small(xy):
        return xy / 2 - 0.5

    def small_K(K):
        out = K / 2
        out[:, 2, 2] = 1
        out[:, :2, 2] -= 0.5
        return out

    edit_npz(folder / "cameras" / "intrinsics.npz", K=small_K)
    edit_npz(folder / "matches" / "matches.npz", xy_i=small, xy_j=small)
    for part in ("cameras", "matches", "tracks"):
        edit_json(folder / part / "about.json", **integer)
    for path in (folder / "tracks" / "keypoints").iterdir():
        edit_npz(path, boxes=small, keypoints=lambda k: np.concatenate([small(k[..., :2]), k[..., 2:]], -1))
    for path in (folder / "depth").glob("0*.npz"):
        edit_npz(path, K=lambda K: K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    edit_json(folder / "depth" / "about.json", pixel_centres="integer")
    assert_same(every_part(), read_precomputed(folder), 1e-13)


def test_frames_may_have_the_numbers_of_the_file(folder):
    index = every_part().frame_index
    edit_json(folder / "video.json", numbers="frame_index")
    edit_json(folder / "cameras" / "about.json", interpolated=[int(index[2])])
    poses = np.loadtxt(folder / "cameras" / "poses.txt")
    poses[:, 0] = index
    np.savetxt(folder / "cameras" / "poses.txt", poses, fmt="%.17g")
    for path in (*folder.glob("*/?.npz"), *folder.glob("tracks/keypoints/?.npz")):
        edit_npz(path, frames=lambda rows: index[rows])
    edit_npz(folder / "matches" / "matches.npz", frames_i=lambda r: index[r], frames_j=lambda r: index[r])
    for path in sorted((*folder.glob("depth*/0*.npz"), *folder.glob("tracks/masks/*/*.png")), reverse=True):
        path.rename(path.with_name(f"{index[int(path.stem)]:06d}{path.suffix}"))
    assert_same(every_part(), read_precomputed(folder))


def test_the_video_file_may_be_npz(folder):
    true = every_part()
    (folder / "video.json").unlink()
    np.savez(
        folder / "video.npz", width=WIDTH, height=HEIGHT, times=true.times, frame_index=true.frame_index,
        duplicate=true.duplicate,
    )  # fmt: skip
    assert_same(true, read_precomputed(folder))


def test_keyframes_in_one_file(folder):
    true = every_part().depth
    for path in (folder / "depth").glob("0*.npz"):
        path.unlink()
    np.savez(
        folder / "depth" / "depth.npz", frames=true.frames, depth=true.depth, confidence=true.confidence, K=true.K[0]
    )
    assert_same(true, read_precomputed(folder).depth)


def test_open_confidences_keep_their_order(folder):
    true = every_part()
    for stated, low in (("1 up", 1.0), ("0 up", 0.0)):
        edit_json(folder / "matches" / "about.json", confidence=stated)
        edit_npz(folder / "matches" / "matches.npz", confidence=low + np.array([0.0, 1.0, 1e6]))
        np.testing.assert_allclose(read_precomputed(folder).matches.confidence, [0, 0.5, 1], atol=1e-5)
    assert len(true.matches.confidence) == 3


def test_maps_without_lens_have_that_of_the_cameras(folder):
    for path in (folder / "depth").glob("0*.npz"):
        edit_npz(path, K=None)
    seen = read_precomputed(folder)
    quarter = np.array([0.25, 0.25, 1])[:, None]
    np.testing.assert_allclose(seen.depth.K, quarter * seen.cameras.K[seen.depth.frames])


def test_maps_without_points_give_points_off_people_in_the_cameras_world(folder):
    (folder / "depth" / "points.npz").unlink()
    seen = read_precomputed(folder)
    known = seen.depth.depth > 0
    assert 0.5 * known.sum() < len(seen.depth.points) < known.sum()
    inside = np.zeros(len(seen.depth.points), bool)
    for n, row in enumerate(seen.depth.frames):
        camera = apply(invert(seen.cameras.T_world_camera[row]), seen.depth.points)
        pixel = project(camera, seen.depth.K[n], seen.cameras.distortion[row])
        x, y = np.nan_to_num(pixel, nan=-1).astype(int).T
        inside_picture = (x >= 0) & (y >= 0) & (x < 24) & (y < 16)
        found = np.where(inside_picture, seen.depth.depth[n][y.clip(0, 15), x.clip(0, 23)], np.nan)
        inside |= np.abs(found - camera[:, 2]) < 1e-5
    assert inside.all()
    edit_json(folder / "depth" / "about.json", metric=True)
    assert len(read_precomputed(folder).depth.points) == 0, "metres do not fit into a world of another unit"


def test_poses_of_bodies_as_matrices(folder):
    true = every_part().bodies
    for path in (folder / "bodies").glob("?.npz"):
        edit_npz(
            path,
            global_orient=lambda v: Rotation.from_rotvec(v).as_matrix(),
            body_pose=lambda v: Rotation.from_rotvec(v.reshape(-1, 3)).as_matrix().reshape(5, 23, 3, 3),
        )
    back = read_precomputed(folder).bodies
    for a, b in zip(true.people, back.people, strict=True):
        between = Rotation.from_rotvec(a.global_orient).inv() * Rotation.from_rotvec(b.global_orient)
        assert between.magnitude().max() < 1e-9
        np.testing.assert_allclose(a.body_pose, b.body_pose, atol=1e-9)


def test_shape_per_frame_is_averaged_and_flat_poses_are_read(folder):
    true = every_part().bodies.people[0]
    wobble = np.arange(-2, 3.0)[:, None]
    edit_npz(folder / "bodies" / "1.npz", betas=lambda b: b + wobble, body_pose=lambda p: p.reshape(5, 69), focal=77.0)
    body = read_precomputed(folder).bodies.people[0]
    np.testing.assert_allclose(body.betas, true.betas, atol=1e-12)
    np.testing.assert_array_equal(body.body_pose, true.body_pose)
    np.testing.assert_array_equal(body.focal, np.full(5, 77.0))


def test_bodies_of_21_joints_have_straight_hands(folder):
    true = every_part().bodies.people[0]
    edit_npz(folder / "bodies" / "1.npz", body=np.array("smplx"), body_pose=lambda p: p[:, :21])
    body = read_precomputed(folder).bodies.people[0]
    np.testing.assert_array_equal(body.body_pose[:, :21], true.body_pose[:, :21])
    assert not body.body_pose[:, 21:].any()


def test_masks_of_ids_per_frame_are_those_per_person(folder):
    true = read_precomputed(folder).tracks
    masks = folder / "tracks" / "masks"
    shutil.rmtree(masks)
    masks.mkdir()
    for n, row in enumerate(true.people[0].frames):
        picture = sum(track.id * track.masks.full(n).astype(np.uint16) for track in true.people)
        cv2.imwrite(str(masks / f"mask_{row}.png"), picture)
    assert_same(true, read_precomputed(folder).tracks)


def test_people_with_masks_only_have_boxes_and_no_joints(folder):
    true = every_part().tracks.people[1]
    (folder / "tracks" / "keypoints" / "3.npz").unlink()
    track = read_precomputed(folder).tracks.people[1]
    kept = [0, 2, 3]
    assert track.id == 3 and not track.keypoints[..., 2].any()
    np.testing.assert_array_equal(track.frames, true.frames[kept])
    for n, index in enumerate(kept):
        mask = true.masks.full(index, (WIDTH, HEIGHT))
        x, y = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        np.testing.assert_array_equal(track.boxes[n], [x[0], y[0], x[-1] + 1, y[-1] + 1])


def test_masks_without_keypoints_are_spoken_of(folder):
    path = folder / "tracks" / "keypoints" / "1.npz"
    edit_npz(path, **{name: lambda a: a[:2] for name in ("frames", "keypoints", "boxes", "keypoints_3d", "overlap")})
    assert "person 1: 2 masks in frames without keypoints" in read_precomputed(folder).tracks.dropped


# Contacts per vertex


def test_a_site_touches_if_a_vertex_near_it_does(free_body):
    rest = free_body.shaped()
    verts, sites = rest.verts_rest.double().numpy(), rest.contact_sites.rest.double().numpy()
    names, radius = list(rest.contact_sites.names), 0.05
    labels = np.random.default_rng(0).uniform(size=(3, len(verts))) * (np.arange(len(verts)) % 7 == 0)
    found = contacts_of_sites(labels, site_vertices(free_body, radius))
    for s, name in enumerate(CONTACT_SITE_NAMES):
        near = [v for v in range(len(verts)) if np.linalg.norm(verts[v] - sites[names.index(name)]) <= radius]
        assert near
        np.testing.assert_array_equal(found[:, s], labels[:, near].max(1))


def test_one_touching_vertex_makes_one_site_touch(free_body):
    sites = free_body.shaped().contact_sites
    for radius in (0.0, 0.05):
        belongs = site_vertices(free_body, radius)
        assert belongs.any(1).all(), "every site can be reached"
        assert belongs.sum(0).max() == 1, "no vertex stands for two places"
    verts = free_body.shaped().verts_rest
    for s, name in enumerate(CONTACT_SITE_NAMES):
        nearest = (verts - sites.select((name,)).rest).norm(dim=1).argmin()
        label = np.zeros((1, len(verts)))
        label[0, nearest] = 1
        np.testing.assert_array_equal(contacts_of_sites(label, belongs)[0], np.arange(9) == s)


def test_vertices_of_a_file_become_sites(free_body, folder):
    verts = len(free_body.verts.template)
    left_heel = site_vertices(free_body, 0.05)[CONTACT_SITE_NAMES.index("left_heel")]
    for id, frames in ((1, 4), (3, 2)):
        touched = np.zeros((frames, verts), bool)
        touched[1] = left_heel
        changes = {"vertices": touched, "probability": None, "sites": None, "body": np.array("anny")}
        edit_npz(folder / "contacts" / f"{id}.npz", **changes)
    contacts = read_precomputed(folder).contacts
    assert contacts.sites == CONTACT_SITE_NAMES
    for probability in contacts.probability:
        np.testing.assert_array_equal(np.argwhere(probability), [[1, CONTACT_SITE_NAMES.index("left_heel")]])
    edit_npz(folder / "contacts" / "1.npz", vertices=lambda v: v[:, :-1])
    with pytest.raises(DioramaError, match=r"1\.npz: array 'vertices' has shape"):
        read_precomputed(folder)


# Presets

STATED = {
    "cameras": {"pixel_centres": "half", "size": [WIDTH, HEIGHT]},
    "depth": {"pixel_centres": "half", "confidence": "0 to 1"},
    "depth_prior": {"pixel_centres": "half"},
    "matches": {"pixel_centres": "half", "size": [WIDTH, HEIGHT], "confidence": "0 to 1"},
    "bodies": {"focal": 1000.0},
}


def bare(folder):
    """As a tool leaves it: nothing is said beside the numbers."""
    for part in PARTS:
        (folder / part / "about.json").unlink()
    edit_json(folder / "cameras" / "about.json", stamps="frames")
    for path in (folder / "bodies").glob("?.npz"):
        edit_npz(path, focal=None, body=None, gender=None)
    return folder


def state(folder, preset):
    for part, names in PRESETS[preset].required.items():
        edit_json(folder / part / "about.json", **{name: STATED[part][name] for name in names})


@pytest.mark.parametrize(
    ("preset", "focal", "metric"),
    [
        ("hmr2+droid-slam", 5000 / 256 * WIDTH, False),
        ("wham+monst3r", 1000.0, False),
        ("vimo+mast3r", (WIDTH**2 + HEIGHT**2) ** 0.5, True),
    ],
)
def test_a_preset_fills_in_what_its_tools_are_known_to_mean(folder, preset, focal, metric):
    state(bare(folder), preset)
    if preset == "vimo+mast3r":
        for path in (folder / "depth").glob("*.npz"):
            edit_npz(path, confidence=lambda c: 1 + c)
    seen = read_precomputed(folder, preset)
    assert {body.body for body in seen.bodies.people} == {"smpl"}
    for body in seen.bodies.people:
        np.testing.assert_allclose(body.focal, focal)
    assert seen.cameras.metric is seen.depth.metric is metric
    assert seen.depth_prior.metric and not every_part().cameras.metric
    people, scene = PRESETS[preset].people, PRESETS[preset].scene
    assert (seen.bodies.source.frontend, seen.cameras.source.frontend) == (people, scene)
    edit_npz(folder / "bodies" / "1.npz", focal=55.0)
    edit_json(folder / "cameras" / "about.json", metric=not metric)
    seen = read_precomputed(folder, preset)
    assert seen.bodies.people[0].focal[0] == 55.0 and seen.cameras.metric is not metric, "the files' word counts"


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_does_not_know_has_to_be_stated(folder, preset):
    state(bare(folder), preset)
    if preset == "vimo+mast3r":
        for path in (folder / "depth").glob("*.npz"):
            edit_npz(path, confidence=lambda c: 1 + c)
    for part, names in PRESETS[preset].required.items():
        for name in names:
            edit_json(folder / part / "about.json", **{name: None})
            with pytest.raises(DioramaError, match=rf"{part}/about\.json: entry '{name}' is missing.*; state it in"):
                read_precomputed(folder, preset)
            edit_json(folder / part / "about.json", **{name: STATED[part][name]})
    shutil.rmtree(folder / "bodies")
    with pytest.raises(DioramaError, match=f"bodies: preset {preset.replace('+', '.')} needs this part"):
        read_precomputed(folder, preset)


def test_presets_speak_of_entries_that_exist():
    for preset in PRESETS.values():
        for part in (*preset.defaults, *preset.required):
            known = {*LAYOUT.defaults[part], *LAYOUT.required.get(part, ())}
            assert set(preset.defaults.get(part, {})) <= known
            assert set(preset.required.get(part, ())) <= known
            assert not set(preset.required.get(part, ())) & set(preset.defaults.get(part, {}))


# Writing


def test_the_folder_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    save, left = np.savez_compressed, [0]

    def full_disk(*args, **arrays):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        save(*args, **arrays)

    monkeypatch.setattr(writer.np, "savez_compressed", full_disk)
    for files in range(0, 12, 4):
        left[0] = files
        with pytest.raises(DioramaError, match=r"No space left.*; "):
            write_precomputed(every_part(), tmp_path / "f")
        assert list(tmp_path.iterdir()) == []


def test_nothing_is_mixed_with_what_was_there(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(DioramaError, match="is there already; choose a new folder"):
        write_precomputed(every_part(1), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_nan_is_not_written(tmp_path):
    seen = every_part()
    seen.matches.xy_i[1, 0] = np.nan
    with pytest.raises(DioramaError, match="'xy_i' holds NaN"):
        write_precomputed(seen, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


# The page


def test_the_page_names_every_entry_array_and_preset():
    from diorama.frontends.precomputed import cameras, contacts, people, scene, sightings, timeline

    text = PAGE.read_text(encoding="utf-8")
    names = {*timeline.ENTRIES, *cameras.INTRINSICS, *cameras.POINTS, *scene.KEYFRAMES, *scene.SCENE_POINTS}
    names |= {*scene.MATCHES, *people.BODY, *sightings.KEYPOINTS, *contacts.CONTACTS, *PARTS, *PRESETS}
    names |= {entry for part in PARTS for entry in (*LAYOUT.defaults[part], *LAYOUT.required.get(part, ()))}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
