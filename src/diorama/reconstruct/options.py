"""What a user may choose, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diorama.errors import DioramaError
from diorama.frontends.depth_source import parse_depth_source
from diorama.frontends.scene_source import parse_scene_source
from diorama.methods.weights_named import NETWORKS, check_weights

METHODS = ("josh", "share", "unish", "josh3r")


@dataclass(frozen=True)
class Options:
    """Options of the main job.

    `focal` px of the upright source video, `fov` horizontal degrees, `stature` metres by id; `weights` of the method's
    network: file, folder, or repository of the Hugging Face hub; `depth` a folder of depth maps or "moge2:" and MoGe-2's
    weights; `scene` "mast3r:" and MASt3R's weights, for JOSH.
    """

    method: str = "auto"
    shot: int | None = None
    focal: float | None = None
    fov: float | None = None
    stature: Mapping[int, float] = field(default_factory=dict)
    overlay: bool = True
    weights: str | None = None
    depth: str | None = None
    scene: str | None = None

    def __post_init__(self) -> None:
        if self.method not in ("auto", *METHODS):
            raise DioramaError(
                "no such method", where=f"--method {self.method}", fix=f"choose auto or {', '.join(METHODS)}"
            )
        if self.method in NETWORKS:
            check_weights(self.method, self.weights)
        elif self.weights is not None:
            raise DioramaError(
                "this method has no network",
                where="--weights",
                fix=f"leave it out, or use --method {' or '.join(NETWORKS)}",
            )
        if self.method in NETWORKS and self.depth is not None:
            name, _ = NETWORKS[self.method]
            raise DioramaError(
                f"{name} makes its own depth", where="--depth", fix="leave it out, or use another method"
            )
        if self.focal is not None and self.fov is not None:
            raise DioramaError("two focal lengths", where="--focal and --fov", fix="give one of them")
        if self.focal is not None and not self.focal > 0:
            raise DioramaError("not a focal length", where=f"--focal {self.focal:g}", fix="give pixels, such as 1200")
        if self.fov is not None and not 5 <= self.fov <= 160:
            raise DioramaError("not a field of view", where=f"--fov {self.fov:g}", fix="give degrees, such as 60")
        if self.depth is not None:
            parse_depth_source(self.depth)
        if self.scene is not None:
            self._check_scene(self.scene)
        for id, height in self.stature.items():
            if not 0.4 <= height <= 2.6:
                raise DioramaError(
                    "not a height of a person", where=f"--stature {id}={height:g}", fix="give metres, such as 1=1.85"
                )

    def _check_scene(self, scene: str) -> None:
        if self.method not in ("auto", "josh"):
            raise DioramaError(
                f"{self.method} takes no scene of others", where="--scene", fix="leave it out, or use --method josh"
            )
        if self.depth is not None:
            raise DioramaError("two sources of depth", where="--scene and --depth", fix="give one of them")
        parse_scene_source(scene)

    @property
    def route(self) -> str:
        """Which steps the job has: the method's, or "scene" where a network tells cameras, depth and matches."""
        return "scene" if self.scene is not None else self.chosen_method

    @property
    def chosen_method(self) -> str:
        """The method; "auto" where it depends on what the camera does, which is known later."""
        return METHODS[0] if self.method == "auto" and self.depth is None else self.method
