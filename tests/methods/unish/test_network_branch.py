"""The tiny network in its place: the same numbers as `UniSH.infer`, several people, nobody, and a whole video."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.errors import DioramaError
from diorama.methods.unish.method import UnishConfig, reconstruct_unish
from diorama.methods.unish.network_branch import NetworkBranch
from diorama.methods.unish.pictures import SeenPerson, Window
from diorama.methods.unish.weights import WeightsConfig, load_branch
from diorama.methods.unish.windows import Layout, WindowConfig
from diorama.networks.unish import InferOptions, UniSH, UniSHConfig
from diorama.observations import MaskStack, Observations, Source, Track, Tracks
from diorama.reconstruction import load
from diorama.video import open_video
from random_weights import shaken
from tiny_videos import moving, write_video

LICENCE = "CC0-1.0 (random numbers)"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return shaken(UniSH(UniSHConfig.tiny()))


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    network.save(folder, licence=LICENCE)
    return folder


def window_of(people=1, frames=3, seen=None):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (frames, 28, 42, 3), dtype=np.uint8)
    everybody = []
    for id in range(1, people + 1):
        present = np.ones(frames, bool) if seen is None else np.asarray(seen)
        crops = rng.integers(0, 256, (frames, 256, 256, 3), dtype=np.uint8) * present[:, None, None, None]
        boxes = rng.normal(size=(frames, 3)) * 5 * present[:, None]
        everybody.append(SeenPerson(id, present, boxes, crops))
    owners = np.zeros((frames, 28, 42), np.int32)
    return Window(np.arange(frames), 6.0, Layout((84, 56), (42, 28)), tuple(everybody), owners, images)


def branch_of(network, **options):
    return NetworkBranch(network, InferOptions(**options), None, False, {})


@pytest.mark.parametrize("focal", [None, 50.0])
def test_one_person_is_inference(network, focal):
    """With the frames' median focal length: random maps have no pinhole, and single frames' may be millions."""
    window = window_of()
    given = None if focal is None else focal * window.layout.source_per_working.mean()
    found = replace(branch_of(network, shared_focal=True), focal=given)([window])[0]
    tensors = [
        torch.from_numpy(a).float()[None] for a in (window.images, window.people[0].crops, window.people[0].boxes)
    ]
    images, crops = (part.movedim(-1, 2) / 255 for part in tensors[:2])
    known = None if focal is None else torch.full((1, 3), focal)
    wanted = network.infer(images, crops, tensors[2], focal=known, options=InferOptions(shared_focal=True))
    person = found.people[0]
    pairs = [
        (found.K, wanted["K"]), (found.T_world_camera, wanted["T_world_camera"]),
        (found.depth, wanted["depth"] * wanted["valid"]), (person.rotations, wanted["pose_camera"]),
        (person.betas, wanted["betas_frames"]), (person.transl, wanted["transl_camera"]),
    ]  # fmt: skip
    for ours, theirs in pairs:
        theirs = theirs[0].double().numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(np.abs(theirs).max(), 1e-9))
    assert found.scale_witnesses == 3


def test_several_people_share_one_scale(network):
    """Everybody's place is his own, but for the one factor of the scene."""
    window = window_of(people=2)
    both = branch_of(network)([window])[0]
    alone = [branch_of(network)([replace(window, people=(person,))])[0] for person in window.people]
    factor = [np.median(each.depth[each.depth > 0]) for each in (*alone, both)]
    assert factor[2] == pytest.approx(np.sqrt(factor[0] * factor[1]), rel=1e-4)
    for at, each in enumerate(alone):
        np.testing.assert_allclose(both.people[at].transl / factor[2], each.people[0].transl / factor[at], rtol=1e-3)
        np.testing.assert_allclose(both.people[at].rotations, each.people[0].rotations, atol=1e-5)


def test_pictures_of_absent_frames_have_no_effect(network):
    window = window_of(seen=[True, False, True])
    person = window.people[0]
    filled = replace(person, crops=np.where(person.seen[:, None, None, None], person.crops, 77).astype(np.uint8))
    one, other = (branch_of(network)([replace(window, people=(each,))])[0] for each in (person, filled))
    np.testing.assert_array_equal(one.people[0].transl, other.people[0].transl)
    assert one.scale_witnesses == 2 and np.isfinite(one.people[0].transl).all()


def test_nobody_and_no_pictures(network):
    found = branch_of(network)([window_of(people=0)])[0]
    assert found.people == () and found.scale_witnesses == 0 and np.isfinite(found.depth).all()
    with pytest.raises(DioramaError, match="give the video"):
        branch_of(network)([replace(window_of(), images=None)])


def test_a_known_focal_length_is_used(network):
    found = replace(branch_of(network), focal=100.0)([window_of()])[0]
    np.testing.assert_allclose(found.K[:, 0, 0], 50.0, rtol=1e-5)


def test_windows_together_are_the_same_as_one_by_one(network):
    """Different people in each, and nobody in one."""
    windows = [
        replace(window_of(people, seen=seen), images=255 - window_of().images if people == 1 else window_of().images)
        for people, seen in ((2, None), (1, [True, False, True]), (0, None))
    ]
    branch = branch_of(network, shared_focal=True)
    for alone, together in zip([branch([window])[0] for window in windows], branch(windows), strict=True):
        assert [person.id for person in alone.people] == [person.id for person in together.people]
        assert alone.scale_witnesses == together.scale_witnesses
        parts = [(alone, together, name) for name in ("K", "T_world_camera", "depth", "confidence")]
        for one, other in zip(alone.people, together.people, strict=True):
            parts += [(one, other, name) for name in ("rotations", "betas", "transl")]
        for one, other, name in parts:
            wanted = getattr(one, name)
            np.testing.assert_allclose(getattr(other, name), wanted, atol=1e-4 * max(np.abs(wanted).max(), 1e-9))


def test_a_crowd_goes_through_in_parts(network, monkeypatch):
    window = window_of(people=3)
    wanted = branch_of(network)([window])[0]
    monkeypatch.setattr("diorama.methods.unish.network_branch._CROPS", 4)
    found = branch_of(network)([window])[0]
    for one, other in zip(wanted.people, found.people, strict=True):
        np.testing.assert_allclose(other.transl, one.transl, rtol=1e-4)
        np.testing.assert_allclose(other.rotations, one.rotations, atol=1e-5)


def test_a_person_depends_on_his_square_in_focal_lengths(network):
    """The same crop at twice the pixels and twice the focal length is the same person in the same direction."""
    person = window_of().people[0]
    crops = torch.from_numpy(person.crops).float()[None].movedim(-1, 2) / 255
    boxes = torch.from_numpy(person.boxes).float()[None]
    small, large = (network.person(crops, boxes * size / (500.0 * size)) for size in (1, 2))
    torch.testing.assert_close(small.rotations, large.rotations)
    other = network.person(crops, boxes / 300.0)
    assert not torch.allclose(small.rotations, other.rotations, atol=1e-4)


def observations_of(video):
    """Two people with masks, one of whom comes and goes."""
    tracks = []
    for id, rows, left in ((1, np.arange(len(video)), 10), (2, np.r_[3:12, 30:37], 50)):
        window = (left, 8, left + 30, 60)
        masks = MaskStack.encode([(window, np.ones((52, 30), bool))] * len(rows), 96, 64)
        boxes = np.tile(np.array(window, float), (len(rows), 1))
        keypoints = np.concatenate(
            [np.random.default_rng(id).uniform(10, 60, (len(rows), 33, 2)), np.ones((len(rows), 33, 1))], 2
        )
        tracks.append(Track(id, rows, boxes, keypoints, "blazepose33", masks))
    index = np.arange(len(video))
    return Observations(
        video.width, video.height, video.times, index, video.duplicate, tracks=Tracks(Source("test"), tuple(tracks))
    )


@pytest.mark.parametrize("size", [(96, 64), (16, 16)])
def test_a_video_becomes_a_saved_world(free_body, weights, tmp_path, size):
    video = open_video(write_video(tmp_path / "clip.mp4", moving(40, *size)))
    config = UnishConfig(
        WeightsConfig(str(weights), device="cpu"), WindowConfig(fps=12.5, longest=56, frames=8, overlap=3)
    )
    world = reconstruct_unish(video, observations_of(video), config)
    assert len(world) == 40 and [person.id for person in world.people] == [1, 2]
    np.testing.assert_array_equal(world.people[1].frames, np.r_[3:12, 30:37])
    for array in (
        world.cameras.T_world_camera,
        world.cameras.K,
        world.people[0].joints_world,
        world.scene.points_world,
    ):
        assert np.isfinite(array).all()
    assert world.provenance["weights"]["licence"] == LICENCE
    assert world.quality["windows"] == 4 and np.isfinite(world.quality["join_residual_percent"])
    again = load(world.save(tmp_path / "out"))
    np.testing.assert_array_equal(again.people[1].transl, world.people[1].transl)
    assert again.provenance["bodies"]["2"]["smpl_betas"] == world.provenance["bodies"]["2"]["smpl_betas"]


def test_weights_that_are_nowhere_are_refused():
    with pytest.raises(DioramaError, match="--weights"):
        load_branch(WeightsConfig("no/such/weights"))
