"""The viewer's stage follows the reconstruction; faults are told in one line before anything listens."""

import logging
import socket
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import asymmetric_world
from diorama.body.joints import JOINT_PARENTS
from diorama.errors import DioramaError
from diorama.export.source_video import find_video
from diorama.view import view
from diorama.view.pictures import Pictures


@pytest.fixture
def server(world):
    running = view(world, port=0, block=False)
    yield running
    running.stop()


def test_bones_are_the_joints(world, server):
    """The mesh stands at the pelvis; its bones, from there, at the joints; a turned bone carries the next joint."""
    for person in server.state.people:
        n = 5
        server.state.show(int(person.person.frames[n]))
        bones = np.array([bone.position for bone in person._mesh.bones]) + person._mesh.position
        np.testing.assert_allclose(bones, person.person.joints_world[n], atol=1e-4)
        rest = asymmetric_world.REST * (1 + person.person.betas[0])
        for joint, parent in list(enumerate(JOINT_PARENTS))[1:]:
            turn = Rotation.from_quat(person._mesh.bones[parent].wxyz, scalar_first=True)
            np.testing.assert_allclose(bones[joint] - bones[parent], turn.apply(rest[joint] - rest[parent]), atol=1e-4)


def test_gaps_switches_and_contacts(world, server):
    walker, bystander = server.state.people
    server.state.show(25)
    assert walker._group.visible and not bystander._group.visible
    server.state.show(45)
    assert bystander._group.visible and not walker._group.visible
    touching = [ball.visible for ball in bystander._balls]
    assert touching == [bool(level) for level in bystander.person.contacts[list(bystander.person.frames).index(45)]]
    bystander.wanted = False
    server.state.refresh()
    assert not bystander._group.visible


def test_camera_moves_with_the_timeline(world, server):
    server.panel.timeline.value = 30
    frustum, T = server.state.camera.frustum, world.cameras.T_world_camera[30]
    np.testing.assert_allclose(frustum.position, T[:3, 3])
    np.testing.assert_allclose(Rotation.from_quat(frustum.wxyz, scalar_first=True).as_matrix(), T[:3, :3], atol=1e-9)
    assert server.panel.clock.value == f"{world.times[30]:.2f} s"


def test_play_advances_and_stop_ends_it(server):
    server.panel._toggle_play()
    seen = set()
    deadline = time.monotonic() + 5
    while len(seen) < 4 and time.monotonic() < deadline:
        seen.add(server.panel.timeline.value)
        time.sleep(0.02)
    server.panel._toggle_play()
    assert len(seen) >= 4


def test_taken_port_moves_on(world, caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with caplog.at_level(logging.WARNING, "diorama"):
            server = view(world, port=port, block=False)
    assert server.get_port() != port and "is taken" in caplog.text
    server.stop()


def test_faults_are_one_line(world, tmp_path):
    with pytest.raises(DioramaError, match="cannot listen"):
        view(world, host="203.0.113.7", block=False)
    with pytest.raises(DioramaError, match="not a port"):
        view(world, port=70000, block=False)
    with pytest.raises(DioramaError, match="no reconstruction here"):
        view(tmp_path, block=False)


def test_nobody_and_one_frame(world):
    scene = world.scene.__class__(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0))
    cameras = world.cameras.__class__(
        *(getattr(world.cameras, name)[:1] for name in ("K", "T_world_camera", "distortion", "registered")),
        width=640, height=360, focal_source="assumed", kind="static",
    )  # fmt: skip
    rows = {name: getattr(world, name)[:1] for name in ("times", "frame_index", "duplicate")}
    server = view(world.replace(people=(), scene=scene, cameras=cameras, **rows), port=0, block=False)
    server.panel.timeline.value = 1
    assert server.panel.timeline.max >= 1  # a slider needs a range, even over one frame
    assert not [name for name in server.scene._handle_from_node_name if name.startswith("/people/")]
    server.stop()


def test_pictures_of_the_video(world, tmp_path):
    import av

    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(len(world) + 6):
            picture = np.full((360, 640, 3), [200, 4 * index, 30], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    pictures = Pictures(path, world)
    arrived = []
    pictures.read(arrived.append)
    assert arrived == list(range(len(world)))
    shown = pictures.picture(10)
    assert shown.shape == (180, 320, 3)
    # Row 10 is frame 16 of the file.
    np.testing.assert_allclose(shown.mean((0, 1)), [200, 64, 30], atol=8)
    assert find_video(world.replace(provenance={"video": {"name": "clip.mp4"}}), tmp_path / "out") == path
    assert find_video(world.replace(provenance={"video": {"path": str(path)}}), None) == path
    assert find_video(world, tmp_path) is None


def test_broken_video_is_no_reason_to_stop(world, tmp_path, caplog):
    (tmp_path / "clip.mp4").write_text("not a video")
    pictures = Pictures(tmp_path / "clip.mp4", world)
    pictures.read(lambda row: None)
    assert pictures.picture(0) is None and "no pictures" in caplog.text


def test_world_is_the_one_meant():
    assert asymmetric_world.FPS % 1 and len(asymmetric_world.asymmetric_world().people) == 2
