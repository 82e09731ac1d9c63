"""The controls beside the viewer's picture: timeline, switches, quality card."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from diorama.view.viewer import ViewerState


class Panel:
    """Timeline with play and speed, a switch per person and layer, and the figures of the result."""

    def __init__(self, state: ViewerState) -> None:
        self.state, self._playing, self._stopped = state, threading.Event(), threading.Event()
        self._add_timeline()
        self._add_switches()
        self._add_card()
        threading.Thread(target=self._play, name="diorama-play", daemon=True).start()

    def stop(self) -> None:
        """End playing for good."""
        self._stopped.set()
        self._playing.set()

    def _add_timeline(self) -> None:
        gui, count = self.state.server.gui, len(self.state.reconstruction)
        self.timeline = gui.add_slider("Frame", 0, max(count - 1, 1), 1, 0)
        self.clock = gui.add_text("Time", "", disabled=True)
        self.button = gui.add_button("Play")
        self.fps = gui.add_slider("Frames per second", 1, 60, 1, min(60, max(1, round(self._rate()))))
        self.follow = gui.add_checkbox("Through the camera", False)
        self.timeline.on_update(lambda _: self._show())
        self.button.on_click(lambda _: self._toggle_play())
        self.follow.on_update(lambda _: self._set(self.state, "follow", self.follow.value))
        self._show()

    def _rate(self) -> float:
        times = self.state.reconstruction.times
        return float(1 / np.median(np.diff(times))) if len(times) > 1 else 30.0

    def _show(self) -> None:
        row = min(int(self.timeline.value), len(self.state.reconstruction) - 1)
        self.clock.value = f"{self.state.reconstruction.times[row]:.2f} s"
        self.state.show(row)

    def _toggle_play(self) -> None:
        playing = not self._playing.is_set()
        self.button.label = "Pause" if playing else "Play"
        (self._playing.set if playing else self._playing.clear)()

    def _play(self) -> None:
        """Advance the timeline by the wall clock: a slow machine skips frames rather than slows down."""
        count, before, position, shown = len(self.state.reconstruction), 0.0, 0.0, -1
        while not self._stopped.is_set():
            if not self._playing.is_set():
                self._playing.wait()
                before = time.monotonic()
            time.sleep(max(0.002, 1 / self.fps.value - (time.monotonic() - before)))
            now = time.monotonic()
            if self.timeline.value != shown:
                position = float(self.timeline.value)
            position, before = (position + (now - before) * self.fps.value) % count, now
            shown = int(position)
            if self._playing.is_set() and not self._stopped.is_set():
                self.timeline.value = shown

    def _add_switches(self) -> None:
        state, gui = self.state, self.state.server.gui
        with gui.add_folder("Show"):
            for person in state.people:
                self._switch(f"Person {person.person.id}", (person, "wanted"))
            self._switch("Contacts", *((person, "contacts_wanted") for person in state.people))
            self._switch("Trails", *((item.trail, "visible") for item in (*state.people, state.camera)))
            self._switch("Camera", (state.camera, "wanted"))
            self._switch("Scene", *((points, "visible") for points in state.points))
            if state.points:
                size = gui.add_slider("Point size (mm)", 1, 100, 1, 20)
                size.on_update(lambda _: self._set(state.points[0], "point_size", size.value / 1000))

    def _switch(self, label: str, *targets: tuple[Any, str]) -> None:
        """A checkbox that sets an attribute of each target."""
        if not targets:
            return
        box = self.state.server.gui.add_checkbox(label, True)

        @box.on_update
        def _(_: object) -> None:
            for target, attribute in targets:
                self._set(target, attribute, box.value)

    def _set(self, target: Any, attribute: str, value: Any) -> None:
        setattr(target, attribute, value)
        self.state.refresh()

    def _add_card(self) -> None:
        reconstruction = self.state.reconstruction
        rows = [("gravity", reconstruction.up), ("focal length", reconstruction.cameras.focal_source)]
        rows += [(name.replace("_", " "), _plain(value)) for name, value in reconstruction.quality.items()]
        lines = [f"| {name} | {value} |" for name, value in rows if value]
        with self.state.server.gui.add_folder("Quality", expand_by_default=False):
            self.state.server.gui.add_markdown("\n".join(["| | |", "|---|---|", *lines]))


def _plain(value: Any) -> str:
    """A figure or a word as text; nothing for what does not fit into a cell."""
    if isinstance(value, bool | int | str):
        return str(value).replace("|", "/")
    return f"{value:.3g}" if isinstance(value, float) else ""
