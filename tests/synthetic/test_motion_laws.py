"""Whatever people do, what is planted stays, nothing is cut into, and nobody moves faster than people can."""

import numpy as np
import pytest
from motion_laws import (
    BAR,
    BED,
    FLAT,
    SEAT,
    SLOPED,
    STEPS,
    TABLE,
    WALL,
    accelerations,
    least_flexion,
    off_the_surface,
    person,
    planted_mm,
    posed,
    sites_of,
    skin_mm,
)  # fmt: skip

from diorama.body.contact_sites import CONTACT_SITE_NAMES, FOOT_SITE_NAMES
from diorama.synthetic.layout import Layout
from diorama.synthetic.motion import (
    Crouch,
    Figure,
    GetUp,
    GetUpFromLying,
    LeanHand,
    Lie,
    LieDown,
    Manner,
    Run,
    Script,
    Sit,
    SitDown,
    Stairs,
    Stand,
    StepOver,
    TurnRound,
    Walk,
    WalkTo,
    duration,
    perform,
)  # fmt: skip

# Bounds, m/s^2. Pelvis: running peaks near 1.5 g beyond gravity (Cavanagh 1987). Feet: 3-7 g in walking, 8-12 g in
# running at the ankle (Lafortune 1991 for the shank; impacts themselves are not simulated).
PELVIS, FEET_WALKING, FEET_RUNNING = 20.0, 80.0, 125.0

CASES = {
    "walk and turn": (FLAT, (Walk(2.0, 1.3, 0.2), TurnRound(2.2), WalkTo((0.0, -1.0), 0.8)), 1.72, 30),
    "brisk walk of a child": (FLAT, (Walk(2.5, 1.1),), 1.1, 25),
    "run": (FLAT, (Walk(1.5), Run(5.0, 2.7), Walk(1.5)), 1.85, 60),
    "run of a child": (FLAT, (Run(4.5, 2.3, 0.1),), 1.1, 30),
    "slope": (SLOPED, (Walk(2.0, 1.2), TurnRound(-2.8), Walk(2.0, 1.1)), 1.95, 24),
    "stairs": (Layout("stairs", STEPS), (Stairs(STEPS), TurnRound(np.pi), Stairs(STEPS[::-1])), 1.66, 20),
    "stairs of a child": (Layout("stairs", STEPS), (Stairs(STEPS),), 1.1, 30),
    "step over": (Layout("bar", (BAR,)), (StepOver(BAR),), 1.5, 30),
    "sit": (Layout("seat", (SEAT,)), (SitDown(SEAT), Sit(0.5), GetUp()), 1.72, 30),
    "sit on a seat too high": (Layout("seat", (SEAT,)), (SitDown(SEAT), Sit(0.5), GetUp()), 1.15, 30),
    "lie on a bed": (Layout("bed", (BED,)), (LieDown(BED), Lie(0.7), GetUpFromLying()), 1.95, 20),
    "lie on the ground": (FLAT, (SitDown(), LieDown(), Lie(0.5), GetUpFromLying(), Stand(0.3)), 1.3, 20),
    "crouch": (FLAT, (Crouch(0.5, 1.0),), 1.8, 25),
    "hand on a wall": (Layout("wall", (WALL,)), (LeanHand(WALL, "left", 0.8),), 1.72, 20),
    "hand on a table": (Layout("table", (TABLE,)), (LeanHand(TABLE, "right", 0.8),), 1.6, 20),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def deed(request, free_body):
    layout, actions, stature, fps = CASES[request.param]
    shaped = person(free_body, stature)
    script = Script((0.0, 0.0), 0.1, actions)
    figure, manner = Figure.of(shaped), Manner(phase=stature)
    times = np.arange(0, duration(figure, script, layout, manner), 1 / fps)
    motion = perform(figure, script, layout, times, manner)
    return request.param, layout, motion, posed(shaped, motion), fps


def test_planted_sites_do_not_move(deed):
    _, _, motion, body, _ = deed
    assert motion.contacts.any()
    assert planted_mm(body, motion) < 0.1


def test_labelled_sites_touch_something(deed):
    """Soles and seat lie on a surface; the palm is hollow and stays a centimetre off."""
    _, layout, motion, body, _ = deed
    gap = off_the_surface(layout, sites_of(body, motion))
    for index, name in enumerate(CONTACT_SITE_NAMES):
        touching = gap[motion.contacts[:, index], index]
        assert touching.max(initial=0.0) < (0.013 if "palm" in name else 0.002), name


def test_nothing_is_cut_into(deed):
    _, layout, motion, body, _ = deed
    assert 1000 * layout.penetration(sites_of(body, motion)).max() < 5
    assert skin_mm(body, layout) < 5


def test_accelerations_are_human(deed):
    name, _, _, body, fps = deed
    acceleration = accelerations(body, fps)
    assert acceleration[:, 0].max() < PELVIS
    assert acceleration[:, [7, 8, 10, 11]].max() < (FEET_RUNNING if "run" in name else FEET_WALKING)
    assert acceleration[:, [12, 15]].max() < 25


def test_knees_never_bend_backwards(deed):
    assert least_flexion(deed[3]) > 0.1


def test_everybody_ends_standing_as_they_began(deed):
    _, _, motion, body, _ = deed
    feet = [CONTACT_SITE_NAMES.index(name) for name in FOOT_SITE_NAMES]
    assert motion.contacts[[0, -1]][:, feet].all()
    height = body.joints[[0, -1], 0, 2].numpy() - sites_of(body, motion)[[0, -1]][:, feet, 2].mean(1)
    assert np.ptp(height) < 0.03


@pytest.mark.parametrize("name", ["walk and turn", "run", "sit on a seat too high", "hand on a table"])
def test_velocities_do_not_jump(name, free_body):
    """Sampled four times as densely, the largest accelerations stay; a jump of velocity would make them four times."""
    layout, actions, stature, _ = CASES[name]
    shaped = person(free_body, stature)
    figure, script = Figure.of(shaped), Script((0.0, 0.0), 0.1, actions)
    end = duration(figure, script, layout)
    worst = []
    for fps in (240, 960):
        body = posed(shaped, perform(figure, script, layout, np.arange(0, end, 1 / fps)))
        worst.append(accelerations(body, fps).max(0))
    assert (worst[1] < 1.5 * worst[0] + 5).all()


def test_frames_do_not_depend_on_each_other(free_body):
    figure = Figure.of(person(free_body, 1.7))
    script = Script((0.0, 0.0), 0.0, (Walk(1.5), Crouch(0.2)), begin=0.4)
    times = np.arange(0, 3, 0.1)
    every, some = (perform(figure, script, FLAT, t) for t in (times, times[[3, 17, 20]]))
    for name in ("global_orient", "body_pose", "transl", "contacts"):
        np.testing.assert_allclose(getattr(some, name), getattr(every, name)[[3, 17, 20]], atol=1e-9)


def test_runners_fly_freely(free_body):
    shaped = person(free_body, 1.75)
    times = np.arange(0, 3.4, 1 / 120)
    motion = perform(shaped, Script((0.0, 0.0), 0.0, (Run(9.0, 3.0),)), FLAT, times)
    body = posed(shaped, motion)
    standing = motion.contacts[:, :4]
    steady = (times > 1.8) & (times < 2.9)
    for side in range(2):
        assert standing[steady][:, [side, 2 + side]].any(1).mean() < 0.5
    flying = ~standing.any(1)[1:-1] & steady[1:-1]
    assert flying.mean() > 0.05
    fall = np.diff(body.joints[:, 0, 2].numpy(), n=2)[flying] * 120**2
    assert fall == pytest.approx(np.full(len(fall), -9.81), abs=0.8)
