"""Small video files with known content, written with PyAV: moving gradients, each frame telling its own number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

TICKS = 1000  # time stamps are whole milliseconds


def gradient(number: int, width: int, height: int, *, tone: int = 0) -> np.ndarray:
    """RGB picture: coarse texture that moves 3 px per frame, a red corner at the top left; `tone` changes colours."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    shift = 3 * number
    wave = 80 + 50 * np.sin((x + shift) / 9.0) + 40 * np.cos((y + 0.5 * shift) / 7.0)
    picture = np.stack([wave, np.roll(wave, 20, 1), 160 - wave / 2], axis=-1)
    if tone:
        picture = np.stack([255 - wave, 40 + 0 * wave, wave / 3], axis=-1)
    picture[: height // 4, : width // 4] = (250, 20, 20)
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_video(
    path: Path,
    pictures: list[np.ndarray],
    *,
    times: list[float] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    turn: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write RGB pictures at the given times (seconds; 25 per second if none); `turn` degrees go into the container."""
    try:
        av.codec.Codec(codec, "w")
    except (ValueError, av.error.FFmpegError):
        pytest.skip(f"PyAV has no {codec} encoder here")
    times = [number / 25 for number in range(len(pictures))] if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        height, width = pictures[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        if turn:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            stream.set_display_rotation(turn)
        for picture, seconds in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def moving(count: int, width: int = 96, height: int = 64, *, tone: int = 0) -> list[np.ndarray]:
    return [gradient(number, width, height, tone=tone) for number in range(count)]


def write_sound(path: Path) -> Path:
    """A second of a tone, without pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        wave = (8000 * np.sin(np.arange(44100) / 20)).astype(np.int16)
        for start in range(0, 44100 - 1024, 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 44100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
