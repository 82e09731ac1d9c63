"""USD: skinned and animated people (UsdSkel), the camera with its moving lens, the scene's points.

+Z up and metres unless told otherwise. Time codes are the video's own times in frames: time code / `timeCodesPerSecond` =
seconds from the first frame, also where frames are not evenly spaced. The camera keeps focal length and principal point
of every frame (tenths of a unit, as USD has it, on a film 36 mm wide); radial distortion, contacts, and what was really
observed stand in attributes named `diorama:...`, which programs that do not know them leave alone.
"""

# OpenUSD fills its modules when they are loaded, so a type checker sees them empty.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, Vt

from diorama import __version__
from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.export.axes import Axes
from diorama.export.checks import known_points
from diorama.export.glb import OPENCV_FROM_GLTF
from diorama.export.licences import mesh_licence
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.resampling import at_rate, frame_rate
from diorama.export.skin import quaternions_xyzw, srgb_to_linear
from diorama.export.usd_people import add_person
from diorama.reconstruction import Cameras, Reconstruction

FILM_WIDTH = 0.036
_CLIP = (0.05, 10_000.0)
_POINT_WIDTH = 0.02


@dataclass(frozen=True)
class Timeline:
    """Time codes of the rows of a result."""

    codes: Float[np.ndarray, " frames"]
    per_second: float

    @classmethod
    def of(cls, times: Float[np.ndarray, " frames"]) -> Timeline:
        """Whole numbers where frames are evenly spaced."""
        rate = frame_rate(times)
        codes = (times - times[0]) * rate
        whole = np.round(codes)
        return cls(np.where(np.abs(codes - whole) < 1e-6 * rate, whole, codes), rate)


def write_usd(reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS) -> Path:
    """Write one file: `.usdc` and `.usd` are binary, `.usda` is text.

    Raises:
        DioramaError: a person's body model is not available, or the path is not writable.
    """
    path, axes, moving = Path(path), Axes.chosen(options), at_rate(reconstruction, options)
    timeline = Timeline.of(moving.times)
    stage = _stage(moving, timeline, axes)
    _add_camera(stage, moving.cameras, timeline, axes)
    _add_points(stage, moving, axes)
    for person in moving.people:
        add_person(stage, person, timeline.codes, axes)
    with atomic_path(path) as temporary:
        try:
            stage.GetRootLayer().Export(str(temporary))
        except Tf.ErrorException as error:
            raise DioramaError("cannot write", where=path, fix="free some space or permit it") from error
    return path


def _stage(moving: Reconstruction, timeline: Timeline, axes: Axes) -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory("diorama.usdc")
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y if axes.up == "y" else UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1 / axes.scale)
    stage.SetTimeCodesPerSecond(timeline.per_second)
    stage.SetFramesPerSecond(timeline.per_second)
    stage.SetStartTimeCode(float(timeline.codes[0]))
    stage.SetEndTimeCode(float(timeline.codes[-1]))
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    layer = stage.GetRootLayer()
    note = mesh_licence(moving)
    layer.comment = f"diorama {__version__}" + (f"; {note}" if note else "")
    layer.customLayerData = {"start_seconds": float(moving.times[0]), "up": moving.up, "frames": len(moving)}
    return stage


def _add_camera(stage: Usd.Stage, cameras: Cameras, timeline: Timeline, axes: Axes) -> None:
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    poses = axes.poses(cameras.T_world_camera)
    turns = quaternions_xyzw(poses[:, :3, :3] @ OPENCV_FROM_GLTF)
    translate = camera.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble)
    orient = camera.AddOrientOp(UsdGeom.XformOp.PrecisionDouble)
    camera.CreateClippingRangeAttr(Gf.Vec2f(_CLIP[0] * axes.scale, _CLIP[1] * axes.scale))
    animate(translate.GetAttr(), timeline.codes, [Gf.Vec3d(*place) for place in poses[:, :3, 3].tolist()])
    animate(orient.GetAttr(), timeline.codes, [Gf.Quatd(w, x, y, z) for x, y, z, w in turns.tolist()])
    for name, values in _lens(cameras, axes).items():
        animate(camera.GetPrim().GetAttribute(name), timeline.codes, values.tolist())
    _add_extras(camera.GetPrim(), cameras, timeline)


def _lens(cameras: Cameras, axes: Axes) -> dict[str, Float[np.ndarray, " frames"]]:
    """USD's words for K: all in tenths of a unit of length; offsets move the film, not the picture."""
    fx, fy, cx, cy = cameras.K[:, 0, 0], cameras.K[:, 1, 1], cameras.K[:, 0, 2], cameras.K[:, 1, 2]
    across = np.full(len(fx), 10 * FILM_WIDTH * axes.scale)
    focal = fx / cameras.width * across
    down = focal * cameras.height / fy
    return {
        "focalLength": focal,
        "horizontalAperture": across,
        "verticalAperture": down,
        "horizontalApertureOffset": across * (0.5 - cx / cameras.width),
        "verticalApertureOffset": down * (cy / cameras.height - 0.5),
    }


def _add_extras(prim: Usd.Prim, cameras: Cameras, timeline: Timeline) -> None:
    types = Sdf.ValueTypeNames
    prim.CreateAttribute("diorama:size", types.Int2).Set(Gf.Vec2i(cameras.width, cameras.height))
    prim.CreateAttribute("diorama:kind", types.String).Set(cameras.kind)
    prim.CreateAttribute("diorama:focalSource", types.String).Set(cameras.focal_source)
    radial = [Vt.DoubleArray(row) for row in cameras.distortion.tolist()]
    animate(prim.CreateAttribute("diorama:radialDistortion", types.DoubleArray), timeline.codes, radial)
    registered = [bool(known) for known in cameras.registered]
    animate(prim.CreateAttribute("diorama:registered", types.Bool), timeline.codes, registered)


def animate(attribute: Usd.Attribute, codes: Float[np.ndarray, " frames"], values: list[Any]) -> None:
    """Set an attribute over time; what never changes is set once."""
    if all(value == values[0] for value in values):
        attribute.Set(values[0])
        return
    for code, value in zip(codes.tolist(), values, strict=True):
        attribute.Set(value, code)


def _add_points(stage: Usd.Stage, moving: Reconstruction, axes: Axes) -> None:
    known = known_points(moving)
    if not known.any():
        return
    places = axes.points(moving.scene.points_world[known]).astype(np.float32)
    points = UsdGeom.Points.Define(stage, "/World/Scene")
    points.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(places))
    points.CreateWidthsAttr(Vt.FloatArray([_POINT_WIDTH * axes.scale]))
    points.SetWidthsInterpolation(UsdGeom.Tokens.constant)
    points.CreateExtentAttr(UsdGeom.Points.ComputeExtent(points.GetPointsAttr().Get(), points.GetWidthsAttr().Get()))
    linear = srgb_to_linear(np.arange(256) / 255).astype(np.float32)[moving.scene.colors[known]]
    points.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(Vt.Vec3fArray.FromNumpy(linear))
