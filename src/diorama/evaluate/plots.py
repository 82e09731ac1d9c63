"""One picture per sequence: paths from above per method, and the errors of all methods over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from diorama.evaluate.runs import RunRecord
from diorama.evaluate.scores import Trace
from diorama.quality.drawing import FAINT, INK, PALETTE, draw_curve, ground_plan, save_picture, time_chart, write_text

Canvas = UInt8[np.ndarray, "height width 3"]
_PLAN = (520, 440)
_CHART = 200
_MARGIN = 20


def draw_plots(records: Sequence[RunRecord], folder: Path) -> tuple[Path, ...]:
    """Write folder/SEQUENCE.png for every sequence of which some method has a trace."""
    out = []
    for sequence in dict.fromkeys(record.sequence for record in records):
        drawn = [r for r in records if r.sequence == sequence and r.scores is not None and r.scores.traces]
        if drawn:
            out.append(save_picture(_picture(sequence, drawn), folder / f"{sequence}.png"))
    return tuple(out)


def _picture(title: str, records: Sequence[RunRecord]) -> Canvas:
    plan_width, plan_height = _PLAN
    width = max(2, len(records)) * (plan_width + _MARGIN) + _MARGIN
    chart_top = 60 + plan_height + _MARGIN
    canvas = np.full((chart_top + 2 * (_CHART + _MARGIN), width, 3), 255, np.uint8)
    write_text(canvas, title, (_MARGIN, 38), 0.8)
    for index, record in enumerate(records):
        left = _MARGIN + index * (plan_width + _MARGIN)
        canvas[60 : 60 + plan_height, left : left + plan_width] = _plan(record, PALETTE[index % len(PALETTE)])
    charts = (
        ("joint error after one rigid alignment (mm), camera dotted", "world_mm"),
        ("PA-MPJPE (mm)", "local_mm"),
    )
    for number, (text, name) in enumerate(charts):
        top = chart_top + number * (_CHART + _MARGIN)
        canvas[top : top + _CHART, _MARGIN : width - _MARGIN] = _chart(records, text, name, width - 2 * _MARGIN)
    return canvas


def _traces(record: RunRecord) -> tuple[Trace, ...]:
    return record.scores.traces if record.scores is not None else ()


def _plan(record: RunRecord, color: tuple[int, int, int]) -> Canvas:
    """True paths in black (camera grey), found ones in the method's colour, after one rigid alignment."""
    traces = _traces(record)
    canvas, place, step = ground_plan([path for t in traces for path in (t.true, t.found)], *_PLAN)
    for trace in traces:
        draw_curve(canvas, place(trace.true), FAINT if trace.name == "camera" else INK, 3)
        draw_curve(canvas, place(trace.found), color, 1 if trace.name == "camera" else 2)
        x, y = place(trace.true[:1])[0]
        cv2.circle(canvas, (int(x), int(y)), 4, INK, -1, cv2.LINE_AA)
        write_text(canvas, trace.name, (int(x) + 6, int(y) - 6), 0.4)
    write_text(canvas, f"{record.method}, from above; black: truth; grid {step} m", (10, 16), color=color)
    return canvas


def _chart(records: Sequence[RunRecord], title: str, name: str, width: int) -> Canvas:
    """Errors of everybody over time, one colour per method."""
    lines = [(i, t, getattr(t, name)) for i, r in enumerate(records) for t in _traces(r)]
    lines = [line for line in lines if len(line[2])]
    if not lines:
        return np.full((_CHART, width, 3), 255, np.uint8)
    every = np.concatenate([t.times for _, t, _ in lines])
    top = max(float(np.percentile(np.concatenate([values for *_, values in lines]), 99)) * 1.1, 1e-3)
    canvas, place = time_chart(title, np.array([every.min(), every.max()]), top, width, _CHART)
    for index, trace, values in lines:
        points, color = place(trace.times, values), PALETTE[index % len(PALETTE)]
        if trace.name != "camera":
            draw_curve(canvas, points, color)
            continue
        for x, y in points[:: max(1, len(points) // 200)]:
            cv2.circle(canvas, (int(x), int(y)), 1, color, -1, cv2.LINE_AA)
    for index, record in enumerate(records):
        write_text(
            canvas, record.method, (width - 160 * (len(records) - index), 16), color=PALETTE[index % len(PALETTE)]
        )
    return canvas
