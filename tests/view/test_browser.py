"""The viewer in a real headless Chromium: people and points are drawn where they belong, without complaints."""

import time

import numpy as np
import pytest

from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.view import view

pytestmark = pytest.mark.browser

CLICK = "[...document.querySelectorAll('{tag}')].find(e => e.textContent.trim() === '{text}')"
PATIENCE = 90


def until(what, seconds=PATIENCE):
    """Ask again and again until the answer is yes."""
    give_up = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.3)
    return answer


def pink(picture):
    """Pixels of person 3, whatever the light."""
    r, g, b = (picture[..., channel].astype(int) for channel in range(3))
    return (r > g + 25) & (b > g + 12) & (r > b)


def red(picture):
    """Pixels of the post in the scene, and of the contact balls."""
    r, g, b = (picture[..., channel].astype(int) for channel in range(3))
    return (r > 120) & (g < 90) & (b < 90)


@pytest.fixture
def page(world, browser):
    server = view(world, port=0, block=False)
    browser.open(f"http://127.0.0.1:{server.get_port()}")
    until(lambda: server.get_clients() and pink(browser.screenshot()).sum() > 50)
    yield server, browser
    server.stop()


def settled(browser):
    """A picture that no longer changes."""
    before = browser.screenshot()
    for _ in range(40):
        time.sleep(0.4)
        now = browser.screenshot()
        if np.array_equal(now, before):
            break
        before = now
    return before


def test_people_and_points_are_drawn_and_move(page):
    server, browser = page
    first = settled(browser)
    assert red(first).sum() > 20
    server.panel.timeline.value = 30
    until(lambda: pink(browser.screenshot()).any())
    later = settled(browser)
    columns = [np.mean(np.nonzero(pink(picture))[1]) for picture in (first, later)]
    # The walker goes along +X, to the right for who stands behind the camera.
    assert columns[1] > columns[0] + 20
    assert browser.complaints == []


def test_play_and_switches_by_the_mouse(page):
    server, browser = page
    button = CLICK.format(tag="button", text="Play")
    browser.evaluate(button + ".click()")
    until(lambda: server.panel.timeline.value > 3)
    assert until(lambda: browser.evaluate(CLICK.format(tag="button", text="Pause") + " !== undefined"))
    browser.evaluate(CLICK.format(tag="button", text="Pause") + ".click()")
    before = red(settled(browser)).sum()
    server.panel.timeline.value = 10
    label = CLICK.format(tag="label", text="Scene")
    checkbox = f"document.getElementById({label}.htmlFor)"
    browser.evaluate(f"{checkbox}.click()")
    until(lambda: not server.state.points[0].visible)
    assert red(settled(browser)).sum() < before
    assert browser.complaints == []


def test_through_the_camera_people_are_on_their_pixels(world, page):
    """Looking through the filming camera, every joint of the walker lies on a pixel of the walker."""
    server, browser = page
    server.panel.follow.value = True
    server.panel.timeline.value = row = 12
    picture = pink(settled(browser))
    canvas = browser.evaluate(
        "(r => [r.x, r.y, r.width, r.height])(document.querySelector('canvas').getBoundingClientRect())"
    )
    joints = apply(invert(world.cameras.T_world_camera[row]), world.person(3).joints_world[row])
    K = world.cameras.K[row].copy()
    # viser's camera fills the window's height and has its principal point at the centre.
    K[:2] *= canvas[3] / world.cameras.height
    K[:2, 2] = canvas[0] + canvas[2] / 2, canvas[1] + canvas[3] / 2
    K[0, 0] = K[1, 1]
    pixels = np.round(project(joints, K)).astype(int)
    hits = [picture[y - 4 : y + 5, x - 4 : x + 5].any() for x, y in pixels]
    assert np.mean(hits) > 0.9, pixels[~np.array(hits)]
    assert browser.complaints == []
