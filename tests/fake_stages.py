"""Stand-ins for the steps of the main job: instant, deterministic, counted; they test the pipeline, not the steps."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np

from diorama.frontends.cameras import SeenCameras
from diorama.observations import (
    Bodies,
    Depth,
    Matches,
    Observations,
    ObservedBody,
    ObservedCameras,
    Source,
    Track,
    Tracks,
)
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene

SOURCE = Source("fake")


class FakeStages:
    """Replaces the steps of `diorama.reconstruct.pipeline`; `calls` counts how often each was run, and
    `believed_from` keeps what the method was given."""

    def __init__(self, *, people: int = 1, kind: str = "translating", pause: float = 0.0) -> None:
        self.people, self.kind, self.pause, self.calls = people, kind, pause, Counter()
        self.believed_from: list[Observations] = []

    def install(self, monkeypatch, pipeline) -> FakeStages:
        for name in (
            "track_people", "estimate_cameras", "triangulate_scene", "fit_bodies", "reconstruct_josh", "reconstruct_share",
            "quality_card", "draw_card", "write_overlay",
        ):  # fmt: skip
            monkeypatch.setattr(pipeline, name, getattr(self, name))
        # The models are not needed by stand-ins.
        monkeypatch.setattr(pipeline, "prepare_models", lambda plan: None)
        return self

    def _count(self, name: str) -> None:
        self.calls[name] += 1
        time.sleep(self.pause)

    def track_people(self, video, config, *, progress=True) -> Tracks:
        self._count("tracks")
        rows = np.arange(len(video))
        box = np.tile([10.0, 10.0, 30.0, 50.0], (len(rows), 1))
        people = (Track(id, rows, box, np.ones((len(rows), 33, 3)), "blazepose33") for id in range(1, self.people + 1))
        return Tracks(SOURCE, tuple(people), ("a shadow was dropped",))

    def estimate_cameras(self, video, tracks, config, **_) -> SeenCameras:
        self._count("cameras")
        count = len(video)
        K = np.tile(np.diag([config.focal or 100.0, config.focal or 100.0, 1.0]), (count, 1, 1))
        cameras = ObservedCameras(
            SOURCE, self.kind, "given" if config.focal else "assumed", K, np.zeros((count, 1)),
            np.tile(np.eye(4), (count, 1, 1)), np.ones(count, bool), warnings=("the focal length is assumed",),
        )  # fmt: skip
        xy = np.random.default_rng(0).uniform(0, 60, (2, 7, 2)).astype(np.float32)
        matches = Matches(SOURCE, np.zeros(7, np.int32), np.full(7, count - 1, np.int32), *xy, np.ones(7, np.float32))
        return SeenCameras(cameras, matches if self.kind == "translating" else None)

    def triangulate_scene(self, video, tracks, cameras, config, **_) -> Depth:
        self._count("depth")
        return Depth(
            SOURCE, np.array([0]), np.ones((1, 4, 6)), np.ones((1, 4, 6)), cameras.K[:1], False, np.zeros((5, 3)),
            np.zeros((5, 3), np.uint8), np.ones(5),
        )  # fmt: skip

    def fit_bodies(self, observations, config, **_) -> Bodies:
        self._count("bodies")
        people = []
        for track in observations.tracks.people:
            n = len(track.frames)
            people.append(
                ObservedBody(
                    track.id,
                    track.frames,
                    "anny",
                    "neutral",
                    np.zeros(6),
                    np.zeros((n, 3)),
                    np.zeros((n, 23, 3)),
                    np.zeros((n, 3)),
                    np.ones(n),
                    np.ones(n),
                    np.ones(n),
                )
            )
        return Bodies(SOURCE, tuple(people))

    def reconstruct_share(self, video, observations, config) -> Reconstruction:
        return self._believed(observations, config.sizes.told, "share")

    def reconstruct_josh(self, video, observations, config) -> Reconstruction:
        return self._believed(observations, config.placing.scale.stature, "josh")

    def _believed(self, observations, stature, method) -> Reconstruction:
        self._count("method")
        self.believed_from.append(observations)
        seen = observations.cameras
        people = []
        for body in observations.bodies.people:
            n = len(body.frames)
            people.append(
                Person(
                    body.id,
                    body.frames,
                    body.body,
                    body.gender,
                    body.betas,
                    body.global_orient,
                    body.body_pose,
                    body.transl + stature.get(body.id, 1.7),
                    np.zeros((n, 24, 3)),
                    np.zeros((n, 2)),
                    ("a", "b"),
                    np.ones(n, bool),
                    np.ones(n),
                )
            )
        cameras = Cameras(
            seen.K, seen.T_world_camera, seen.distortion, seen.registered, observations.width, observations.height,
            seen.focal_source, seen.kind,
        )  # fmt: skip
        depth = observations.depth
        scene = Scene(np.zeros((3, 3)), np.zeros((3, 3), np.uint8), np.ones(3), depth.depth if depth else None)
        return Reconstruction(
            observations.times,
            observations.frame_index,
            observations.duplicate,
            cameras,
            tuple(people),
            scene,
            "assumed",
            provenance={"method": method},
        )

    def quality_card(self, reconstruction, observations, seconds) -> dict:
        self._count("result")
        return {"people": len(reconstruction.people), "seconds": dict(seconds)}

    def draw_card(self, reconstruction, card, path: Path, observations) -> None:
        path.write_bytes(b"picture")

    def write_overlay(self, video, reconstruction, path: Path, **_) -> Path:
        self._count("overlay")
        path.write_bytes(b"film")
        return path
