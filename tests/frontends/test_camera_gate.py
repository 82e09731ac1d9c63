"""Still, turning or travelling: decided on simulated point worlds with noise, drift, outliers and short tracks."""

import numpy as np
import point_worlds as worlds
import pytest

from clips import clip
from diorama.frontends.background_tracks import BackgroundTracks, track_background
from diorama.frontends.camera_gate import judge_camera
from diorama.geometry.transforms import rigid
from diorama.video import open_video

PANS = {
    "pan": (30, 0.9, {}),
    "pan with barrel distortion": (60, 0.7, {"k1": -0.1}),
    "pan with zoom": (30, 0.9 * np.linspace(1, 1.6, 60), {}),
    "fast pan, short noisy tracks": (90, 0.9, {"life": 6.0, "noise_px": 0.4, "outliers": 0.15}),
    "tele": (20, 2.5, {}),
}


@pytest.mark.parametrize("name", PANS)
@pytest.mark.parametrize("seed", [0, 1])
def test_turning_is_not_taken_for_travelling(name, seed):
    rng = np.random.default_rng(seed)
    degrees, focal, noise = PANS[name]
    seen = worlds.see(
        rng, worlds.sphere(rng, 20000), worlds.panning(rng, 60, degrees), focal * np.float64(960), **noise
    )
    verdict = judge_camera(seen.tracks)
    assert verdict.kind == "rotating", verdict.evidence
    assert verdict.evidence["parallax_share"] < 0.08


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("metres", "life"), [(2.5, 40.0), (1.5, 60.0)])
def test_walking_is_travelling(seed, metres, life):
    rng = np.random.default_rng(seed)
    seen = worlds.see(rng, worlds.street(rng), worlds.walking(rng, 60, metres), 0.8 * 960, life=life)
    verdict = judge_camera(seen.tracks)
    assert verdict.kind == "translating", verdict.evidence


def test_hand_tremor_counts_as_turning():
    rng = np.random.default_rng(0)
    seen = worlds.see(rng, worlds.street(rng), worlds.walking(rng, 60, 0.02, sway=0.003), 0.8 * 960)
    assert judge_camera(seen.tracks).kind == "rotating"


@pytest.mark.parametrize("noise_px", [0.02, 0.2])
def test_no_motion_is_still(noise_px):
    rng = np.random.default_rng(0)
    still = rigid(np.repeat(np.eye(3)[None], 40, 0), np.zeros((40, 3)))
    seen = worlds.see(rng, worlds.street(rng), still, 0.8 * 960, noise_px=noise_px, drift_px=0.01)
    assert judge_camera(seen.tracks).kind == "static"


def test_one_frame_and_no_points_do_not_fail():
    empty = BackgroundTracks(
        worlds.SIZE, np.arange(1, dtype=np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32),
        np.zeros((0, 2), np.float32), np.zeros(0, np.int32), np.zeros(0), np.zeros(0),
    )  # fmt: skip
    assert judge_camera(empty).kind == "static"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [("juggle", "static"), ("skating", "rotating"), ("josh_demo2", "translating")]
)
def test_real_clips(name, kind):
    verdict = judge_camera(track_background(open_video(clip(name)), None, progress=False))
    assert verdict.kind == kind, verdict.evidence
