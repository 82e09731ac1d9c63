"""world.mp4: frames at the video's times, people where the circling camera sees them, paths from light to dark."""

import dataclasses

import numpy as np
import pytest

from asymmetric_world import FRAMES, HEIGHT, WIDTH
from diorama.errors import DioramaError
from diorama.export.options import ExportOptions
from diorama.export.skin import person_color
from diorama.export.trails import light_to_dark, trails
from diorama.export.turntable import Orbit, TurntableConfig, pictures, write_mp4
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.video import open_video
from tiny_videos import moving, write_video

SMALL = TurntableConfig(width=320, height=180)


def hue_of(picture, color):
    """Where a picture has a colour, whatever the shade."""
    wanted, shown = np.array(color, float), picture.astype(float)
    norms = np.linalg.norm(shown, axis=-1) * np.linalg.norm(wanted)
    return (shown @ wanted / np.maximum(norms, 1e-9) > 0.995) & (np.ptp(shown, axis=-1) > 40)


def test_people_stand_where_the_circling_camera_sees_them(world):
    orbit = Orbit.around(world, SMALL)
    for row, picture in enumerate(pictures(world, SMALL)):
        if row % 12:
            continue
        pose = orbit.pose(world.times[row] - world.times[0])
        for person in world.people:
            seen = np.flatnonzero(person.frames == row)
            if len(seen):
                place = apply(invert(pose), person.joints_world[seen[0]])
                hit = [
                    hue_of(picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3], person_color(person.id)).any()
                    for x, y in project(place, orbit.lens.K)
                ]
                assert np.mean(hit) > 0.7


def test_the_camera_circles_upright_and_keeps_everything_in_view(world):
    orbit = Orbit.around(world, SMALL)
    for seconds in np.linspace(0, 18, 7):
        pose = orbit.pose(seconds)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
        assert pose[2, 0] == pytest.approx(0, abs=1e-12) and pose[2, 1] < 0, (
            "its x axis is level, its y axis points down"
        )
        for person in world.people:
            pixels = project(apply(invert(pose), person.joints_world.reshape(-1, 3)), orbit.lens.K)
            assert ((pixels > 0) & (pixels < [320, 180])).all()
    np.testing.assert_allclose(orbit.pose(18), orbit.pose(0), atol=1e-9)


def test_paths_are_light_where_they_begin_and_dark_where_they_end(world):
    for color in ((230, 159, 0), (86, 180, 233)):
        shades = light_to_dark(color, np.linspace(0, 1, 11)).astype(int).sum(1)
        assert (np.diff(shades) < 0).all()
    camera, walker, *bystander = trails(world, 0.01)
    assert len(bystander) == 2, "a gap of the track is a gap of its path"
    np.testing.assert_allclose(walker.points[[0, -1]], world.person(3).joints_world[[0, -1], 0], atol=1e-9)
    assert len(walker.until(0)[0]) <= 2 and len(walker.until(35)[0]) == len(walker.points)
    half, _ = walker.until(17)
    assert np.linalg.norm(half[-1] - world.person(3).joints_world[17, 0]) < 0.02
    np.testing.assert_allclose(camera.points[-1], world.cameras.T_world_camera[-1, :3, 3], atol=1e-9)


@pytest.mark.parametrize("fps", [None, 10.0])
def test_frames_and_times(world, tmp_path, fps):
    video = open_video(write_mp4(world, tmp_path / "world.mp4", ExportOptions(fps=fps), SMALL))
    expected = world.times - world.times[0] if fps is None else np.arange(len(video)) / fps
    np.testing.assert_allclose(video.times - video.times[0], expected, atol=1e-4)
    assert (video.width, video.height) == (320, 180) and len(video) == (FRAMES if fps is None else 20)


def test_side_by_side(world, tmp_path):
    times = [float(time) for time in world.times - world.times[0]]
    source = write_video(tmp_path / "street.mp4", moving(FRAMES, WIDTH, HEIGHT), times=times)
    known = world.replace(provenance={"video": {"path": str(source)}})
    video = open_video(write_mp4(known, tmp_path / "world.mp4", ExportOptions(side_by_side=True), SMALL))
    assert (video.width, video.height) == (320 + 320, 180) and len(video) == FRAMES
    red = video.frame(0)[10:30, 10:60].reshape(-1, 3).mean(0)
    assert red[0] > 200 > 80 > red[1], "the video's red corner is at the top left"
    assert video.frame(0)[:20, 330:].mean() > 235, "the world's sky is paper"


def test_faults_are_one_line(world, tmp_path):
    both = ExportOptions(side_by_side=True)
    with pytest.raises(DioramaError, match="--video PATH"):
        write_mp4(world, tmp_path / "world.mp4", both, SMALL)
    with pytest.raises(DioramaError, match="leave --fps out"):
        write_mp4(world, tmp_path / "world.mp4", dataclasses.replace(both, fps=10), SMALL)
    short = write_video(tmp_path / "short.mp4", moving(5))
    with pytest.raises(DioramaError, match="5 frames"):
        write_mp4(world, tmp_path / "world.mp4", dataclasses.replace(both, video=short), SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["short.mp4"]


def test_nobody_and_no_body_model(world, tmp_path, monkeypatch):
    def missing(name):
        raise DioramaError("not here", where=name)

    monkeypatch.setattr("diorama.export.skin.load_body", missing)
    picture = next(pictures(world, SMALL))
    assert hue_of(picture, person_color(3)).any(), "a skeleton"
    assert next(pictures(world.replace(people=()), SMALL)).shape == (180, 320, 3)
