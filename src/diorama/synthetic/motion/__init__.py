"""What people do in exact worlds: scripts of actions, planned on a layout, performed with planted feet and hands.

A script is planned once (`planned`): footholds and when they are used, keys that the body follows, glides between poses,
planted palms and seats. Any frame is then computed from the plan by inverse kinematics, so that what is planted stays.

    motion = perform(shaped_body, Script((0.0, 0.0), 0.0, (Walk(3.0), SitDown(), Sit(2.0), GetUp())), layout, times)
"""

from diorama.synthetic.motion.actions import (
    Action,
    Crouch,
    GetUp,
    GetUpFromLying,
    LeanHand,
    Lie,
    LieDown,
    Run,
    RunTo,
    Script,
    Sit,
    SitDown,
    Stairs,
    Stand,
    StepOver,
    Travel,
    TurnRound,
    Walk,
    WalkTo,
)  # fmt: skip
from diorama.synthetic.motion.amass import motion_from_amass
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.performance import duration, perform
from diorama.synthetic.motion.scripts import random_script
from diorama.synthetic.walk import Manner, Motion

__all__ = [
    "Action", "Crouch", "Figure", "GetUp", "GetUpFromLying", "LeanHand", "Lie", "LieDown", "Manner", "Motion", "Run",
    "RunTo", "Script", "Sit", "SitDown", "Stairs", "Stand", "StepOver", "Travel", "TurnRound", "Walk", "WalkTo",
    "duration", "motion_from_amass", "perform", "random_script",
]  # fmt: skip
