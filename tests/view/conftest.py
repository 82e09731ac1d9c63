"""The asymmetric world, and a headless Chromium where there is one."""

import pytest

import asymmetric_world
from devtools import Browser, find_chromium


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr("diorama.export.skin.load_body", lambda name: asymmetric_world.stick_body())
    return asymmetric_world.asymmetric_world()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here (make test-browser installs it)")
    with Browser(program, tmp_path_factory.mktemp("chromium")) as started:
        yield started
