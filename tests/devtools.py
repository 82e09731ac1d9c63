"""A headless Chromium driven over its DevTools protocol: open a page, look at it, and hear what it complains about."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from websockets.sync.client import connect

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-port=0"),
    "--window-size=1000,700",
)
# Complaints that are not the page's: favicons, and swiftshader's remarks on its own speed.
IGNORED = ("favicon", "GL Driver Message", "GPU stall")


def find_chromium() -> str | None:
    """The browser's program: `CHROMIUM`, else one of its usual names."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


class Browser:
    """A browser process with an empty profile, and one page of it."""

    def __init__(self, program: str, profile: Path) -> None:
        self._profile, self._number = profile, 0
        self.complaints: list[str] = []
        command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._socket = connect(self._page_address(), max_size=None)
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(20)

    def _page_address(self) -> str:
        told = self._profile / "DevToolsActivePort"
        give_up = time.monotonic() + 60
        while not (told.exists() and told.read_text().count("\n")):
            assert time.monotonic() < give_up, "Chromium does not start"
            time.sleep(0.1)
        port = told.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as reply:
            pages = [target for target in json.load(reply) if target["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; events that arrive meanwhile are heard."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        text = ""
        if message["method"] == "Runtime.exceptionThrown":
            text = json.dumps(parameters["exceptionDetails"])
        if message["method"] == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            text = json.dumps(parameters["args"])
        if message["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            text = json.dumps(parameters["entry"])
        if text and not any(word in text for word in IGNORED):
            self.complaints.append(text)

    def open(self, address: str) -> None:
        """Go to a page, with a clean list of complaints."""
        self.complaints.clear()
        self.call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self) -> np.ndarray:
        """The page as (height, width, 3) RGB."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return np.ascontiguousarray(picture[..., ::-1])
