"""Bodies with SMPL's mesh: the field's four vertices, the body of the person's own gender, and vertices of two bodies."""

from dataclasses import replace

import numpy as np
import pytest

from diorama.body import load_body
from diorama.data import exact_truth
from diorama.data.posing import posed_body
from diorama.evaluate.score import score
from diorama.evaluate.surfaces import SMPL_FEET, feet_of, true_feet
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene
from smpl_like import smpl_like_arrays

COUNT = 12
VERTS = 6890


@pytest.fixture
def bodies(tmp_path, monkeypatch):
    """Made-up bodies of SMPL's size in the cache: vertices repeat, men are a tenth bigger than women."""
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path))
    load_body.cache_clear()
    (tmp_path / "bodies").mkdir()
    for gender, size in (("female", 1.0), ("male", 1.1)):
        arrays = smpl_like_arrays()
        few = len(arrays["v_template"])
        rows = np.arange(VERTS) % few
        arrays |= {name: arrays[name][rows] for name in ("v_template", "shapedirs", "posedirs", "weights")}
        arrays["v_template"] = size * arrays["v_template"]
        arrays["J_regressor"] = np.pad(arrays["J_regressor"], ((0, 0), (0, VERTS - few)))
        np.savez(tmp_path / "bodies" / f"SMPL_{gender.upper()}.npz", **arrays)
    yield
    load_body.cache_clear()


def world(gender):
    rng = np.random.default_rng(0)
    path = np.array([0, 0, 5.0]) + np.arange(COUNT)[:, None] * np.array([0.05, 0, 0])
    person = Person(
        1, np.arange(COUNT), "smpl", gender, np.zeros(10), np.zeros((COUNT, 3)), 0.2 * rng.normal(size=(COUNT, 23, 3)),
        path, np.zeros((COUNT, 24, 3)), np.zeros((COUNT, 0)), (), np.ones(COUNT, bool), np.ones(COUNT),
    )  # fmt: skip
    joints = posed_body(person).joints.double().numpy() + path[:, None]
    person = replace(person, joints_world=joints)
    K = np.tile(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), (COUNT, 1, 1))
    T = np.tile(np.eye(4), (COUNT, 1, 1))
    lens = Cameras(K, T, np.zeros((COUNT, 1)), np.ones(COUNT, bool), 640, 480, "given", "static")
    nothing = Scene(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0))
    rows = np.arange(COUNT)
    return Reconstruction(rows / 30, rows, np.zeros(COUNT, bool), lens, (person,), nothing, "exact")


def test_feet_are_the_fields_four_vertices(bodies):
    person, rows = world("male").people[0], np.array([2, 5])
    verts = posed_body(person, rows.tolist()).verts().double().numpy() + person.transl[rows, None]
    np.testing.assert_allclose(feet_of(person, rows), verts[:, list(SMPL_FEET)], atol=1e-6)
    truth = exact_truth(world("male"))
    np.testing.assert_allclose(true_feet(truth, 1, rows), feet_of(person, rows), atol=1e-6)


def test_a_truth_of_another_gender_has_another_surface(bodies):
    truth = exact_truth(world("male"))
    same, other = score(world("male"), truth, 30.0), score(world("female"), truth, 30.0)
    assert same.figure("PVE") == pytest.approx(0, abs=1e-3) and same.figure("V2V") == pytest.approx(0, abs=1e-6)
    assert other.figure("PVE") > 20 and other.figure("MPJPE") > 20
    # A tenth is nothing to an alignment with scale; the pose turns bones of the same shape.
    assert other.figure("PA-MPJPE") == pytest.approx(0, abs=0.1)
