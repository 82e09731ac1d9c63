"""People in a USD file: a SkelRoot each, with rest mesh, skeleton and animation."""

# OpenUSD fills its modules when they are loaded, so a type checker sees them empty.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import numpy as np
from jaxtyping import Float
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdSkel, Vt

from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.body.model import ShapedBody
from diorama.export.axes import Axes
from diorama.export.skeleton import bones, local_rotations
from diorama.export.skin import (
    four_influences,
    person_color,
    quaternions_xyzw,
    shaped_person,
    srgb_to_linear,
    vertex_normals,
)
from diorama.reconstruction import Person

# Skin reaches this far from the nearest joint, metres; for the box that a viewer frames.
_REACH = 0.5


def add_person(stage: Usd.Stage, person: Person, codes: Float[np.ndarray, " frames"], axes: Axes) -> None:
    """Add `/World/Person_003` with `Body`, `Skeleton` and `Skeleton/Motion`; hidden while the person is missing."""
    if not len(person.frames):
        return
    body = shaped_person(person)
    rest = axes.scale * body.joints_rest.double().numpy()
    path = f"/World/Person_{person.id:03d}"
    root = UsdSkel.Root.Define(stage, path)
    root.CreateExtentAttr(_extent(axes.points(person.joints_world).reshape(-1, 3), _REACH * axes.scale))
    _hide_in_gaps(root, person, codes)
    _add_extras(root.GetPrim(), person, codes)
    skeleton = _add_skeleton(stage, f"{path}/Skeleton", rest)
    motion = _add_motion(stage, f"{path}/Skeleton/Motion", person, codes, rest, axes)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([motion.GetPath()])
    mesh = _add_mesh(stage, f"{path}/Body", body, person, axes)
    UsdSkel.BindingAPI(mesh.GetPrim()).CreateSkeletonRel().SetTargets([skeleton.GetPath()])


def joint_paths() -> list[str]:
    """UsdSkel's names: `pelvis/left_hip/left_knee`."""
    paths: list[str] = []
    for name, parent in zip(JOINT_NAMES, JOINT_PARENTS, strict=True):
        paths.append(name if parent < 0 else f"{paths[parent]}/{name}")
    return paths


def _add_skeleton(stage: Usd.Stage, path: str, rest: np.ndarray) -> UsdSkel.Skeleton:
    skeleton = UsdSkel.Skeleton.Define(stage, path)
    skeleton.CreateJointsAttr(joint_paths())
    skeleton.CreateBindTransformsAttr([Gf.Matrix4d().SetTranslate(Gf.Vec3d(*place)) for place in rest.tolist()])
    skeleton.CreateRestTransformsAttr([Gf.Matrix4d().SetTranslate(Gf.Vec3d(*bone)) for bone in bones(rest).tolist()])
    return skeleton


def _add_motion(
    stage: Usd.Stage, path: str, person: Person, codes: np.ndarray, rest: np.ndarray, axes: Axes
) -> UsdSkel.Animation:
    """Local rotations, and translations of which only the pelvis's changes."""
    motion = UsdSkel.Animation.Define(stage, path)
    motion.CreateJointsAttr(joint_paths())
    motion.CreateScalesAttr(Vt.Vec3hArray(len(rest), Gf.Vec3h(1)))
    turns = local_rotations(person)
    turns[:, 0] = axes.rotation @ turns[:, 0]
    quaternions = np.stack([quaternions_xyzw(turns[:, joint]) for joint in range(turns.shape[1])], 1).astype(np.float32)
    places = np.repeat(bones(rest).astype(np.float32)[None], len(turns), 0)
    places[:, 0] = axes.points(person.transl + rest[0] / axes.scale)
    rotations, translations = motion.CreateRotationsAttr(), motion.CreateTranslationsAttr()
    for code, quaternion, place in zip(codes[person.frames].tolist(), quaternions, places, strict=True):
        # In memory a Gf.Quatf is x, y, z, w, although it is written w first.
        rotations.Set(Vt.QuatfArray.FromNumpy(quaternion), code)
        translations.Set(Vt.Vec3fArray.FromNumpy(place), code)
    return motion


def _add_mesh(stage: Usd.Stage, path: str, body: ShapedBody, person: Person, axes: Axes) -> UsdGeom.Mesh:
    vertices, faces = axes.scale * body.verts_rest.numpy(), body.model.faces.numpy()
    joints, weights = four_influences(body.model.skin)
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(vertices.astype(np.float32)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(vertex_normals(vertices, faces).astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(faces), 3))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.astype(np.int32).reshape(-1)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(_extent(vertices, 0.0))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateJointIndicesPrimvar(False, 4).Set(Vt.IntArray.FromNumpy(joints.astype(np.int32).reshape(-1)))
    binding.CreateJointWeightsPrimvar(False, 4).Set(Vt.FloatArray.FromNumpy(weights.reshape(-1)))
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))
    _paint(stage, mesh, person)
    return mesh


def _paint(stage: Usd.Stage, mesh: UsdGeom.Mesh, person: Person) -> None:
    """A matt colour, for viewers that know materials and for those that know only `displayColor`."""
    color = Gf.Vec3f(*srgb_to_linear(np.array(person_color(person.id)) / 255).tolist())
    mesh.CreateDisplayColorAttr([color])
    path = mesh.GetPath().GetParentPath().AppendChild("Material")
    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, path.AppendChild("Surface"))
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(color)
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.9)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def _hide_in_gaps(root: UsdSkel.Root, person: Person, codes: np.ndarray) -> None:
    seen = np.zeros(len(codes), bool)
    seen[person.frames] = True
    if seen.all():
        return
    visibility = root.CreateVisibilityAttr()
    for row in np.flatnonzero(np.r_[True, seen[1:] != seen[:-1]]):
        visibility.Set(UsdGeom.Tokens.inherited if seen[row] else UsdGeom.Tokens.invisible, float(codes[row]))


def _add_extras(prim: Usd.Prim, person: Person, codes: np.ndarray) -> None:
    types = Sdf.ValueTypeNames
    prim.CreateAttribute("diorama:body", types.String).Set(person.body)
    prim.CreateAttribute("diorama:betas", types.DoubleArray).Set(Vt.DoubleArray(person.betas.tolist()))
    prim.CreateAttribute("diorama:contactSites", types.TokenArray).Set(Vt.TokenArray(person.contact_sites))
    contacts, observed = (
        prim.CreateAttribute("diorama:contacts", types.FloatArray),
        prim.CreateAttribute("diorama:observed", types.Bool),
    )
    for row, code in enumerate(codes[person.frames].tolist()):
        contacts.Set(Vt.FloatArray(person.contacts[row].tolist()), code)
        observed.Set(bool(person.observed[row]), code)


def _extent(points: np.ndarray, margin: float) -> Vt.Vec3fArray:
    low, high = points.min(0) - margin, points.max(0) + margin
    return Vt.Vec3fArray([Gf.Vec3f(*low.tolist()), Gf.Vec3f(*high.tolist())])
