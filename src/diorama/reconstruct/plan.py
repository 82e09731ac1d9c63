"""The plan of a job, told before it starts: what will be done, with which models, how long and how large."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from diorama.frontends.given_depth import GivenDepthConfig
from diorama.models import Model
from diorama.reconstruct.take import megabytes_needed
from diorama.video import Video

# Wall times of josh_demo2 (100 frames, 1920x1080, five people), quiet machine, 2026-11-20, rounded up.
RATES_MACHINE = "2 cores of an AMD EPYC server"


@dataclass(frozen=True)
class Phase:
    """One step of the job with its expected seconds: `base` + `per_frame` x frames, for two or three people.

    Pictures are worked on at sizes of at most one or two megapixels, so the size of the video is left out.
    """

    name: str
    what: str
    models: tuple[str, ...] = ()
    base: float = 0.0
    per_frame: float = 0.0

    def seconds(self, frames: int) -> float:
        """Expected seconds for so many frames."""
        return self.base + self.per_frame * frames


PHASES = (
    Phase("tracks", "people: keypoints, masks", ("blazepose",), 2.0, 0.25),
    Phase("cameras", "camera type, poses, focal length", (), 4.0, 0.55),
    Phase("depth", "static scene", (), 1.0, 0.09),
    Phase("bodies", "a body per person and frame", ("anny",), 2.0, 0.18),
    Phase("method", "scale, gravity, contacts, refinement", ("anny",), 2.0, 0.16),
    Phase("result", "quality card, files", (), 1.0, 0.0),
    Phase("overlay", "bodies over the video", ("anny",), 1.0, 0.13),
)

# With a scene network there are no cameras, depth and bodies of other front ends.
_UNISH = (
    PHASES[0],
    # 19 s per picture of 518x294, 6 of 30 per second, a quarter twice: from the CPU times of the official modules
    # (2 threads of such a machine), not measured here. With a GPU it is a matter of seconds.
    Phase("method", "UniSH (on a CPU; seconds on a GPU)", ("anny",), 10.0, 4.7),
    *PHASES[-2:],
)


# Cameras come out of people's motions. 4.2 s per pair with three people (docs/results.md), 5 pairs per 30 frames. A GPU
# needs seconds.
_JOSH3R = (
    PHASES[0],
    # 6.6 TFLOP: eight pictures, four pairs in both orders with points.
    Phase("lens", "focal length, if not told: MASt3R", (), 40.0),
    PHASES[3],
    Phase("method", "JOSH3R (on a CPU; seconds on a GPU)", ("anny",), 10.0, 0.7),
    *PHASES[-2:],
)

# 12 TFLOP per keyframe (ten pairs, both orders, heads) at the same speed and 50 s of matches (measured in a room of planes);
# 5 keyframes per 30 frames.
_SCENE = (
    PHASES[0],
    Phase("scene", "MASt3R (CC BY-NC-SA 4.0; slow on a CPU)", (), 10.0, 20.0),
    *PHASES[3:],
)


def phases_of(route: str) -> tuple[Phase, ...]:
    """The steps of a job, by `Options.route`."""
    return {"unish": _UNISH, "josh3r": _JOSH3R, "scene": _SCENE}.get(route, PHASES)


# Seconds per keyframe of MoGe-2's ViT-L at the finest level (3 times those at 1200 patches), ../shared/specs/frontends.md.
_MOGE_SECONDS = 18.0


def with_given_depth(phase: Phase, given: GivenDepthConfig) -> Phase:
    """The phase of depth, when it also reads maps or runs a network."""
    if given.source.kind == "folder":
        return replace(phase, what="static scene; depth maps of a folder", base=phase.base + 2)
    seconds = phase.base + _MOGE_SECONDS * given.moge.keyframes
    return replace(phase, what="static scene; depth by MoGe-2 (MIT)", base=seconds)


@dataclass
class Plan:
    """What will be done to a video, what is there already, and how far the work has come."""

    video: Video
    models: tuple[Model, ...]
    reused: frozenset[str]
    phases: tuple[Phase, ...]
    started: float = field(default_factory=time.monotonic)

    def seconds(self, phase: Phase) -> float:
        """Expected seconds of a phase: none if it is reused."""
        return 0.0 if phase.name in self.reused else phase.seconds(len(self.video))

    @property
    def expected(self) -> float:
        """Seconds for all phases that are not there yet."""
        return sum((self.seconds(phase) for phase in self.phases), 0.0)

    @property
    def all_reused(self) -> bool:
        """Whether every phase is there already."""
        return all(phase.name in self.reused for phase in self.phases)

    @property
    def missing(self) -> list[Model]:
        """Models that have to be fetched first."""
        return [model for model in self.models if not model.is_ready()]

    def text(self) -> str:
        """The plan as a table for people."""
        video, missing = self.video, self.missing
        shot = f", shot {video.shot} of {len(video.shots)}" if len(video.shots) > 1 else ""
        size = f"{len(video)} frames, {video.width}x{video.height}, {video.times[-1] - video.times[0]:.1f} s"
        lines = [f"{video.path.name}: {size}{shot}"]
        credits = {model.name: f"{model.title} ({model.licence})" for model in self.models}
        for phase in self.phases:
            used = ", ".join(credits[name] for name in phase.models) or "-"
            expected = "reused" if phase.name in self.reused else f"{self.seconds(phase):.0f} s"
            lines.append(f"  {phase.name:8} {phase.what:37} {used:22} {expected:>7}")
        lines += [
            f"  {'fetch':8} {m.title}: download of {m.source.megabytes:.0f} MB, once; then {m.set_up_seconds:.0f} s"
            for m in missing
        ]
        total = self.expected + sum(m.set_up_seconds for m in missing)
        lines.append(f"expected: {total:.0f} s ({RATES_MACHINE}); at most {megabytes_needed(video):.0f} MB on disk")
        return "\n".join(lines)

    def begin_line(self, name: str) -> str:
        """Said when a phase begins."""
        return f"{self._place(name)}: about {self.seconds(self._phase(name)):.0f} s"

    def end_line(self, name: str, seconds: float) -> str:
        """Said when a phase has ended: elapsed and expected, of the phase and of the whole job."""
        return (
            f"{self._place(name)}: {seconds:.0f} s (expected {self.seconds(self._phase(name)):.0f} s); "
            f"in all {time.monotonic() - self.started:.0f} s of about {self.expected:.0f} s"
        )

    def reused_line(self, name: str) -> str:
        """Said when a finished step is taken as it is."""
        return f"{self._place(name)}: reused"

    def _phase(self, name: str) -> Phase:
        return next(phase for phase in self.phases if phase.name == name)

    def _place(self, name: str) -> str:
        number = [phase.name for phase in self.phases].index(name) + 1
        return f"[{number}/{len(self.phases)}] {name}"
