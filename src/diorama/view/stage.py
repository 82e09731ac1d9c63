"""What stands in the viewer's scene, and how each thing is moved to a frame; only what changes is sent."""

from __future__ import annotations

import numpy as np
import viser
from jaxtyping import Bool, Float, Int

from diorama.body.model import ShapedBody
from diorama.export.skin import dense_weights, joint_transforms, person_color, quaternions_xyzw, shaped_person
from diorama.reconstruction import Cameras, Person, Reconstruction
from diorama.view.pictures import Pictures

CONTACT_LEVEL = 0.5
CONTACT_COLOR = (220, 30, 30)
CAMERA_COLOR = (40, 40, 40)


def wxyz_of(matrices: Float[np.ndarray, "frames 3 3"]) -> Float[np.ndarray, "frames 4"]:
    """Quaternions in viser's order."""
    return quaternions_xyzw(matrices)[:, [3, 0, 1, 2]]


class PersonOnStage:
    """A person as a skinned mesh with red balls where it touches the world, and its path on the floor."""

    def __init__(self, server: viser.ViserServer, person: Person, count: int) -> None:
        self.person, self.name = person, f"/people/{person.id}"
        self.wanted = self.contacts_wanted = True
        self._n_of_row = _lookup(person.frames, count)
        body = shaped_person(person)
        Ts = joint_transforms(body, person)
        self._root = Ts[:, 0, :3, 3]
        self._positions = Ts[:, :, :3, 3] - self._root[:, None]
        self._wxyzs = np.stack([wxyz_of(Ts[:, joint, :3, :3]) for joint in range(Ts.shape[1])], 1)
        self._sites, self._touching = _contacts(body, Ts, person)
        rest = body.joints_rest.double().numpy()
        self._group = server.scene.add_frame(self.name, show_axes=False)
        self._mesh = server.scene.add_mesh_skinned(
            f"{self.name}/body",
            body.verts_rest.numpy(),
            body.model.faces.numpy(),
            bone_wxyzs=np.tile([1.0, 0, 0, 0], (len(rest), 1)),
            bone_positions=rest,
            skin_weights=dense_weights(body.model.skin),
            color=person_color(person.id),
        )
        self._balls = [
            server.scene.add_icosphere(
                f"{self.name}/contacts/{site}", 0.04, CONTACT_COLOR, subdivisions=2, visible=False, cast_shadow=False
            )
            for site in range(self._sites.shape[1])
        ]
        self.trail = _add_path(server, f"/trails/{person.id}", self._root * [1, 1, 0], person_color(person.id))

    def show(self, row: int) -> None:
        """Move to a row of the reconstruction; hidden where the track has a gap or somebody switched the person off."""
        n = int(self._n_of_row[row])
        self._group.visible = self.wanted and n >= 0
        if not self._group.visible:
            return
        self._mesh.position = self._root[n]
        for bone, wxyz, position in zip(self._mesh.bones, self._wxyzs[n], self._positions[n], strict=True):
            bone.wxyz, bone.position = wxyz, position
        for ball, place, touching in zip(self._balls, self._sites[n], self._touching[n], strict=True):
            ball.visible = self.contacts_wanted and bool(touching)
            if ball.visible:
                ball.position = place


class CameraOnStage:
    """The filming camera as a frustum that carries the picture, and the line it travelled."""

    def __init__(self, server: viser.ViserServer, cameras: Cameras, pictures: Pictures | None) -> None:
        self.wanted, self._pictures = True, pictures
        self.positions = cameras.T_world_camera[:, :3, 3]
        self.wxyzs = wxyz_of(cameras.T_world_camera[:, :3, :3])
        self.fovs = 2 * np.arctan(cameras.height / 2 / cameras.K[:, 1, 1])
        self.frustum = server.scene.add_camera_frustum(
            "/camera/frustum",
            fov=float(self.fovs[0]),
            aspect=cameras.width / cameras.height,
            scale=0.3,
            thickness=0.01,
            color=CAMERA_COLOR,
            cast_shadow=False,
            receive_shadow=False,
        )
        self.trail = _add_path(server, "/camera/trail", self.positions, CAMERA_COLOR)

    def show(self, row: int, *, from_inside: bool) -> None:
        """Move to a row of the reconstruction; who looks through the camera does not see it."""
        self.frustum.visible = self.wanted and not from_inside
        self.frustum.position, self.frustum.wxyz = self.positions[row], self.wxyzs[row]
        if abs(self.frustum.fov - self.fovs[row]) > 1e-4:
            self.frustum.fov = float(self.fovs[row])
        if self.frustum.visible and self._pictures is not None:
            self.frustum.image = self._pictures.picture(row)


def _lookup(frames: Int[np.ndarray, " n"], count: int) -> Int[np.ndarray, " frames"]:
    """For every row of the reconstruction the place in the person's arrays, or -1."""
    out = np.full(count, -1)
    out[frames] = np.arange(len(frames))
    return out


def _contacts(
    body: ShapedBody, Ts: Float[np.ndarray, "n 24 4 4"], person: Person
) -> tuple[Float[np.ndarray, "n sites 3"], Bool[np.ndarray, "n sites"]]:
    """Where the contact sites are in the world, and whether they touch it; only the sites that the body model knows."""
    columns = [n for n, name in enumerate(person.contact_sites) if name in body.contact_sites.names]
    sites = body.contact_sites.select([person.contact_sites[n] for n in columns])
    owners = sites.owners.numpy()
    offsets = (sites.rest - body.joints_rest[sites.owners]).double().numpy()
    rotations, joints = Ts[:, owners, :3, :3], Ts[:, owners][..., :3, 3]
    places = (rotations @ offsets[..., None])[..., 0] + joints
    return places, person.contacts[:, columns] >= CONTACT_LEVEL


def _add_path(
    server: viser.ViserServer, name: str, points: Float[np.ndarray, "frames 3"], color: tuple[int, int, int]
) -> viser.LineSegmentsHandle:
    """A line along points; one that goes nowhere is a dot."""
    ends = np.stack([points[:-1], points[1:]], 1) if len(points) > 1 else np.stack([points, points], 1)
    return server.scene.add_line_segments(name, ends.astype(np.float32), color, thickness=0.015)


def add_surroundings(server: viser.ViserServer, reconstruction: Reconstruction) -> tuple[viser.PointCloudHandle, ...]:
    """The floor as a grid of one-metre cells, and the scene's points (no handle if there are none)."""
    server.scene.set_up_direction("+z")
    reach = 2 * int(np.ceil(_extent(reconstruction))) + 4
    server.scene.add_grid("/floor", reach, reach, plane="xy", cell_size=1.0, section_size=5.0)
    scene = reconstruction.scene
    known = np.isfinite(scene.points_world).all(1)
    if not known.any():
        return ()
    points = scene.points_world[known].astype(np.float32)
    # Half precision would move points that are far away by centimetres.
    return (
        server.scene.add_point_cloud(
            "/scene", points, scene.colors[known], point_size=0.02, point_shape="rounded", precision="float32"
        ),
    )


def _extent(reconstruction: Reconstruction) -> float:
    """Metres from the origin to the farthest person or camera along x or y."""
    places = [reconstruction.cameras.T_world_camera[:, :2, 3]]
    places += [person.joints_world[:, 0, :2] for person in reconstruction.people]
    return float(np.nanmax(np.abs(np.concatenate(places))))
