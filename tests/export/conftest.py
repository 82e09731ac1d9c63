"""The asymmetric world and its tiny body, so that these tests need no assets."""

import pytest

import asymmetric_world


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr("diorama.export.skin.load_body", lambda name: asymmetric_world.stick_body())
    return asymmetric_world.asymmetric_world()
