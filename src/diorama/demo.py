"""The demonstration: a clip with exact truth is rendered, reconstructed and compared; or a video of the user's own."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from diorama.models import MODELS
from diorama.reconstruct import reconstruct
from diorama.reconstruct.plan import PHASES, RATES_MACHINE
from diorama.reconstruct.report import card_text, how_to_look
from diorama.synthetic.compare import compare_with_truth
from diorama.synthetic.demo_clip import DemoClip, make_demo_clip
from diorama.synthetic.staging import DEMO_SHOT

logger = logging.getLogger(__name__)

RENDER_SECONDS = 96.0


def demo(video: Path | None, out: Path | None) -> Iterator[str]:
    """Run the demonstration and yield what there is to say about the result.

    Args:
        video: a video of the user's own; without it a clip is rendered into `out`/clip.
        out: where to; demo_out/own_clip, or demo_out/ and the name of the video, if not given.

    Raises:
        DioramaError: the video, the folder or a model cannot be used.
    """
    began = time.monotonic()
    out = out or Path("demo_out") / (video.stem if video else "own_clip")
    clip = None
    if video is None:
        logger.info("%s", plan_text(out))
        clip = rendered_clip(out)
    result = reconstruct(clip.video if clip else video or "", out=out)
    if clip is not None:
        yield truth_text(compare_with_truth(result, clip.truth))
    yield card_text(result.quality)
    yield how_to_look(out)
    yield f"done in {time.monotonic() - began:.0f} s"


def plan_text(out: Path) -> str:
    """What the demonstration with the rendered clip will do."""
    shot = DEMO_SHOT
    work = sum(phase.seconds(shot.frames) for phase in PHASES)
    missing = [model for model in MODELS if not model.is_ready()]
    lines = [f"demonstration: {shot.frames} frames, {shot.width}x{shot.height}, {RATES_MACHINE}"]
    lines += [f"  fetch {m.title}: {m.source.megabytes:.0f} MB, once, {m.set_up_seconds:.0f} s" for m in missing]
    lines.append(f"  render a clip with exact truth into {out / 'clip'}: {RENDER_SECONDS:.0f} s (none if it is there)")
    lines.append(f"  reconstruct it: {work:.0f} s (less where steps are there); compare with the truth")
    return "\n".join(lines)


def truth_text(figures: Mapping[str, float]) -> str:
    """The comparison with the truth as a table; figures of single people are left to `compare_with_truth`."""
    shown = {key: value for key, value in figures.items() if not key.startswith("person_")}
    return "\n".join(["compared with the exact truth", *(f"  {key:30} {value:.3g}" for key, value in shown.items())])


def rendered_clip(out: Path) -> DemoClip:
    """The clip of our own; its people are bodies of the free body model, which has to be here first."""
    for model in MODELS:
        model.prepare(None)
    began = time.monotonic()
    clip = make_demo_clip(out / "clip")
    logger.info("clip: %.0f s (expected %.0f s)", time.monotonic() - began, RENDER_SECONDS)
    return clip
