"""`diorama view OUT`: the reconstruction on a timeline in the browser (viser)."""

from __future__ import annotations

import logging
import socket
import threading
import webbrowser
from pathlib import Path

import numpy as np
import viser

from diorama.errors import DioramaError
from diorama.export.skin import shaped_person
from diorama.export.source_video import find_video
from diorama.reconstruction import Reconstruction, load
from diorama.view.panel import Panel
from diorama.view.pictures import Pictures
from diorama.view.stage import CameraOnStage, PersonOnStage, add_surroundings

logger = logging.getLogger(__name__)


class ViewerState:
    """The stage at one row of the reconstruction; everything that moves is moved here."""

    def __init__(self, server: viser.ViserServer, reconstruction: Reconstruction, pictures: Pictures | None) -> None:
        self.server, self.reconstruction, self.row = server, reconstruction, 0
        self.follow = False
        self._lock = threading.Lock()
        self.points = add_surroundings(server, reconstruction)
        self.people = [PersonOnStage(server, p, len(reconstruction)) for p in reconstruction.people if len(p.frames)]
        self.camera = CameraOnStage(server, reconstruction.cameras, pictures)
        self._set_first_view()
        self.show(0)

    def show(self, row: int) -> None:
        """Move everything to a row; clients draw it as one step."""
        with self._lock, self.server.atomic():
            self.row = row
            for person in self.people:
                person.show(row)
            self.camera.show(row, from_inside=self.follow)
            if self.follow:
                self._move_visitors()

    def refresh(self) -> None:
        """Show the present row again, after something was switched on or off."""
        self.show(self.row)

    def on_picture(self, row: int) -> None:
        """A picture has been read; it is wanted at once if its row is on show."""
        if row == self.row:
            self.refresh()

    def _set_first_view(self) -> None:
        """From behind and above the filming camera, looking where the people are, or along its view."""
        T = self.reconstruction.cameras.T_world_camera[0]
        eye, forward = T[:3, 3], T[:3, 2]
        pelvises = [person.person.joints_world[:, 0] for person in self.people]
        target = np.median(np.concatenate(pelvises), 0) if pelvises else eye + 4 * forward
        self.server.initial_camera.position = eye - 0.1 * (target - eye) + [0, 0, 1.0]
        self.server.initial_camera.look_at = target
        self.server.initial_camera.up = (0.0, 0.0, 1.0)

    def _move_visitors(self) -> None:
        """Let every visitor look through the filming camera."""
        for client in self.server.get_clients().values():
            with client.atomic():
                client.camera.wxyz = self.camera.wxyzs[self.row]
                client.camera.position = self.camera.positions[self.row]
                client.camera.fov = float(self.camera.fovs[self.row])


class Viewer(viser.ViserServer):
    """A viser server with a result on its stage and the controls beside it."""

    panel: Panel | None = None

    def __init__(self, reconstruction: Reconstruction, pictures: Pictures | None, *, host: str, port: int) -> None:
        super().__init__(host=host, port=port, label="diorama", verbose=False)
        self.state = ViewerState(self, reconstruction, pictures)
        self.panel = Panel(self.state)

    def stop(self) -> None:
        """End playing, then the server."""
        if self.panel is not None:
            self.panel.stop()
        super().stop()


def view(
    result: Reconstruction | str | Path,
    *,
    port: int = 8080,
    host: str = "127.0.0.1",
    video: str | Path | None = None,
    open_browser: bool = False,
    block: bool = True,
) -> Viewer:
    """Show a result in the browser; viser prints the address.

    Args:
        result: a reconstruction, or the folder of one.
        port: where to listen; the next free one if it is taken, any free one if 0.
        host: which address to listen at; the default lets nobody in but this machine.
        video: the source video, for the pictures in the camera's frustum, if it is not where it was.
        block: stay until interrupted (Ctrl+C); else return at once, and the caller stops the server.

    Raises:
        DioramaError: no such result, a body model is missing, or the address is not one of this machine.
    """
    folder = None if isinstance(result, Reconstruction) else Path(result)
    reconstruction = result if isinstance(result, Reconstruction) else load(result)
    for person in reconstruction.people:
        shaped_person(person)  # a missing model is told before anything listens
    _check_address(host, port)
    path = Path(video) if video is not None else find_video(reconstruction, folder)
    pictures = None if path is None else Pictures(path, reconstruction)
    server = Viewer(reconstruction, pictures, host=host, port=port)
    if pictures is not None:
        pictures.start(server.state.on_picture)
    _announce(server.get_port(), port)
    if open_browser:
        webbrowser.open(f"http://localhost:{server.get_port()}")
    if block:
        try:
            server.sleep_forever()
        except KeyboardInterrupt:
            server.stop()
    return server


def _check_address(host: str, port: int) -> None:
    """viser tries port after port, also at an address that cannot be had; so ask first."""
    if not 0 <= port <= 65535:
        raise DioramaError("not a port", where=port, fix="choose --port 1024 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        raise DioramaError("cannot listen at this address", where=host, fix="use --host 127.0.0.1") from error


def _announce(port: int, asked: int) -> None:
    if asked not in (0, port):
        logger.warning("port %d is taken, using %d", asked, port)
    logger.info("viewer at http://localhost:%d (Ctrl+C ends it)", port)
    logger.info("from another machine: ssh -L %d:localhost:%d THIS_MACHINE, then open the same address", port, port)
