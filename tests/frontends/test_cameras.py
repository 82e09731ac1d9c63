"""`estimate_cameras` on small files: one frame, nothing to see, a still picture, a picture that slides, given focals."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.frontends.cameras import CamerasConfig, estimate_cameras
from diorama.frontends.rotation_cameras import RotationConfig
from diorama.video import Video, open_video


def write(path: Path, pictures: list[np.ndarray]) -> Video:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        stream.bit_rate = 8_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return open_video(path)


def textured(width: int = 640, height: int = 480) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (height, width)).astype(np.float32)
    grey = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("plain", [False, True])
def test_few_or_empty_frames_give_a_still_camera_and_say_so(tmp_path, count, plain):
    picture = np.full((240, 320, 3), 128, np.uint8) if plain else textured()[:240, :320]
    cameras = estimate_cameras(write(tmp_path / "v.mp4", [picture] * count), None, progress=False).cameras
    assert cameras.focal_source == "assumed" and cameras.warnings
    assert cameras.K.shape == (count, 3, 3) and cameras.T_world_camera.shape == (count, 4, 4)
    np.testing.assert_allclose(cameras.T_world_camera[:, :3, 3], 0)
    assert cameras.kind in ("static", "rotating") and (plain or cameras.kind == "static")


@pytest.fixture(scope="module")
def sliding(tmp_path_factory):
    big = textured()
    return write(tmp_path_factory.mktemp("s") / "v.mp4", [big[20:260, 3 * t : 3 * t + 320] for t in range(24)])


FAST = CamerasConfig(rotation=RotationConfig(focals=(0.6, 1.2), zoom_focals=(1.0,), iterations=4, final_iterations=6))


def test_a_sliding_picture_is_a_turn(sliding):
    seen = estimate_cameras(sliding, None, FAST, progress=False)
    cameras = seen.cameras
    assert seen.matches is None
    assert cameras.kind == "rotating"
    assert cameras.registered.all() and cameras.reprojection_px < 1
    axes = cameras.T_world_camera[:, :3, 2]
    assert np.degrees(np.arccos(axes[0] @ axes[-1])) > 2


def test_given_focals_are_kept(sliding):
    from dataclasses import replace

    cameras = estimate_cameras(sliding, None, replace(FAST, fov=60.0), progress=False).cameras
    assert cameras.focal_source == "given"
    np.testing.assert_allclose(cameras.K[:, 0, 0], 160 / np.tan(np.radians(30)))
    np.testing.assert_allclose(cameras.K[0, :2, 2], [160, 120])


@pytest.mark.parametrize("wrong", [{"focal": 300.0, "fov": 60.0}, {"fov": 400.0}, {"focal": 1.0}, {"focal": -5.0}])
def test_absurd_lenses_are_refused(sliding, wrong):
    with pytest.raises(DioramaError):
        estimate_cameras(sliding, None, CamerasConfig(**wrong), progress=False)
