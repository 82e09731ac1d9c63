"""Eq. 9 is exact, in whichever world; people and cameras are each other's inverse; votes are a robust mean."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.geometry.transforms import apply, invert, rigid
from diorama.methods.josh3r.chaining import (
    VoteConfig,
    body_placement,
    camera_motion,
    cameras_to_people,
    chain,
    motion,
    people_to_cameras,
    vote,
)

FRAMES = 3000


def walk(seed, frames=FRAMES, step=0.3):
    """A body that walks and turns: (frames, 4, 4), metres."""
    rng = np.random.default_rng(seed)
    turns = matrix_of(rng.normal(0, 0.2, (frames, 3)))
    path = [rigid(matrix_of(rng.normal(0, 1, 3)), rng.normal(0, 5, 3))]
    for turn in turns[1:]:
        path.append(path[-1] @ rigid(turn, rng.normal(0, step, 3)))
    return np.array(path)


def clip(seed, frames=FRAMES, people=1):
    """Cameras with the world in the first one, bodies in world and camera, and true motions."""
    cameras = walk(seed, frames)
    cameras = invert(cameras[0]) @ cameras
    bodies = np.stack([walk(seed + 1 + person, frames) for person in range(people)])
    seen = invert(cameras) @ bodies
    return cameras, bodies, seen, invert(bodies[:, :-1]) @ bodies[:, 1:]


def test_perfect_predictions_give_the_true_paths():
    cameras, bodies, seen, motions = clip(0)
    rotation, translation = motions[0, :, :3, :3], motions[0, :, :3, 3]
    # As the network says it: two rows, here also with lengths and an angle that Gram-Schmidt has to mend.
    six = np.concatenate([2 * rotation[:, 0], 3 * rotation[:, 1] - rotation[:, 0]], -1)
    path = chain(seen[0, 0], motion(six, translation))
    assert np.abs(path - bodies[0]).max() < 1e-6
    assert np.abs(people_to_cameras(path, seen[0]) - cameras).max() < 1e-6
    assert np.abs(np.linalg.det(path[:, :3, :3]) - 1).max() < 1e-14


def test_the_other_order_of_the_equation_is_another_path():
    _, bodies, seen, motions = clip(1, 10)
    product = np.eye(4)
    for moved in motions[0]:
        product = product @ moved
    assert np.abs(product @ seen[0, 0] - bodies[0, -1]).max() > 0.1


def test_people_and_cameras_are_inverse():
    cameras, bodies, seen, motions = clip(2, 50)
    assert np.allclose(cameras_to_people(cameras, seen[0]), bodies[0])
    assert np.allclose(cameras_to_people(people_to_cameras(bodies[0], seen[0]), seen[0]), bodies[0])
    steps = camera_motion(seen[0, :-1], motions[0], seen[0, 1:])
    assert np.abs(chain(np.eye(4), steps) - cameras).max() < 1e-9


def test_a_moved_start_moves_the_path():
    _, bodies, _, motions = clip(3, 50)
    moved = walk(9, 1)[0]
    assert np.allclose(chain(moved @ bodies[0, 0], motions[0]), moved @ bodies[0])


def test_placements_turn_about_the_pelvis():
    rng = np.random.default_rng(4)
    orient, transl, pelvis, point = rng.normal(size=(4, 3))
    placed = Rotation.from_rotvec(orient).as_matrix() @ (point - pelvis) + pelvis + transl
    assert np.allclose(apply(body_placement(orient, transl, pelvis), point - pelvis), placed)


def votes_of(people, seed=5, frames=40):
    cameras, _, seen, motions = clip(seed, frames, people)
    steps = camera_motion(seen[:, :-1], motions, seen[:, 1:])
    number = np.tile(np.arange(frames - 1), people)
    return cameras, steps.reshape(-1, 4, 4), number


def test_votes_that_agree_are_the_camera():
    cameras, steps, number = votes_of(3, frames=FRAMES)
    joined = vote(steps, number, np.random.default_rng(0).uniform(0.1, 1, len(steps)), FRAMES - 1)
    assert joined.seen.all()
    assert np.abs(chain(np.eye(4), joined.motions) - cameras).max() < 1e-6


def test_a_liar_is_outvoted_by_two():
    _, steps, number = votes_of(3)
    truth = steps[: len(steps) // 3]
    lying = steps.copy()
    lying[-len(truth) :] = lying[-len(truth) :] @ rigid(matrix_of(np.array([0.5, 0, 0])), np.array([2.0, 1, 0]))
    joined = vote(lying, number, np.ones(len(lying)), len(truth))
    assert np.linalg.norm(joined.motions[:, :3, 3] - truth[:, :3, 3], axis=-1).max() < 0.02
    assert (
        np.linalg.norm(rotvec_of(np.swapaxes(truth[:, :3, :3], 1, 2) @ joined.motions[:, :3, :3]), axis=-1).max() < 0.02
    )


def test_two_votes_near_each_other_are_their_weighted_mean():
    base = walk(6, 2)[1]
    turn, shift = np.array([0.001, 0.002, 0]), np.array([0.003, 0, 0.002])
    moved = rigid(base[:3, :3] @ matrix_of(turn), base[:3, 3] + shift)
    joined = vote(np.stack([base, moved]), np.array([0, 0]), np.array([1.0, 3.0]), 1).motions[0]
    assert np.allclose(joined[:3, 3], base[:3, 3] + 0.75 * shift)
    assert np.allclose(rotvec_of(base[:3, :3].T @ joined[:3, :3]), 0.75 * turn, atol=1e-8)


def test_votes_move_with_the_camera_and_do_not_know_their_order():
    rng = np.random.default_rng(7)
    truth = walk(8, 3)
    number = np.repeat(np.arange(3), 5)
    noise = rigid(matrix_of(rng.normal(0, 0.03, (15, 3))), rng.normal(0, 0.1, (15, 3)))
    motions, weight, turned = truth[number] @ noise, rng.uniform(0.1, 1, 15), walk(9, 1)[0]
    joined = vote(motions, number, weight, 3, VoteConfig(rounds=60)).motions
    assert np.allclose(
        vote(turned @ motions, number, weight, 3, VoteConfig(rounds=60)).motions, turned @ joined, atol=1e-6
    )
    order = rng.permutation(15)
    assert np.allclose(vote(motions[order], number[order], weight[order], 3, VoteConfig(rounds=60)).motions, joined)


def test_steps_without_votes_say_so():
    _, steps, number = votes_of(1, frames=4)
    joined = vote(steps[1:], number[1:], np.array([1.0, 0.0]), 3)
    assert joined.seen.tolist() == [False, True, False]
    assert np.array_equal(joined.motions[0], np.eye(4))
    nothing = vote(steps[:0], number[:0], np.zeros(0), 2)
    assert not nothing.seen.any()


@pytest.mark.parametrize("frames", [1, 2])
def test_short_clips(frames):
    _, bodies, seen, motions = clip(10, frames)
    assert np.allclose(chain(seen[0, 0], motions[0]), bodies[0])
