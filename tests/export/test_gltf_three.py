"""three.js, in a headless Chromium, plays a GLB file: at two times, the walker is where the projection says.

three.js comes by npm, once, into the user's cache.
"""

import functools
import http.server
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from devtools import Browser, find_chromium
from diorama.assets import cache_dir
from diorama.export.glb import write_glb
from diorama.export.skin import person_color
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><body style="margin:0"><script type="importmap">
{"imports": {"three": "./three/build/three.module.js", "three/addons/": "./three/examples/jsm/"}}</script>
<script type="module">
import * as THREE from 'three';
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';
const renderer = new THREE.WebGLRenderer();
renderer.setSize(640, 360);
document.body.appendChild(renderer.domElement);
const gltf = await new GLTFLoader().loadAsync('./world.glb');
const scene = new THREE.Scene();
scene.background = new THREE.Color(0xffffff);
scene.add(gltf.scene, new THREE.AmbientLight(0xffffff, 3));
const mixer = new THREE.AnimationMixer(gltf.scene);
gltf.animations.forEach(clip => mixer.clipAction(clip).play());
window.show = seconds => { mixer.setTime(seconds); renderer.render(scene, gltf.cameras[0]); };
window.ready = gltf.animations.length;
</script></body>"""


@pytest.fixture(scope="module")
def three():
    """The folder of three.js; `THREE_JS` names one that is there already."""
    folder = Path(os.environ.get("THREE_JS") or cache_dir() / "three")
    if not (folder / "node_modules" / "three").is_dir():
        npm = shutil.which("npm") or pytest.skip("npm is not here")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "three@0.187.0"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("three.js could not be fetched")
    return folder / "node_modules" / "three"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def page(world, three, tmp_path):
    program = find_chromium() or pytest.skip("no Chromium here (make test-browser installs it)")
    served = tmp_path / "served"
    write_glb(world, served / "world.glb")
    (served / "index.html").write_text(PAGE)
    (served / "three").symlink_to(three)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Browser(program, tmp_path / "chromium") as browser:
        browser.open(f"http://127.0.0.1:{server.server_port}/index.html")
        give_up = time.monotonic() + 90
        while not browser.evaluate("window.ready"):
            assert time.monotonic() < give_up and not browser.complaints, browser.complaints
            time.sleep(0.2)
        yield browser
    server.shutdown()
    server.server_close()


def of_person(picture, id):
    """Pixels of a person's hue."""
    wanted, shown = np.array(person_color(id), float), picture.astype(float)
    norms = np.linalg.norm(shown, axis=-1) * np.linalg.norm(wanted)
    return (shown @ wanted / np.maximum(norms, 1e-9) > 0.99) & (np.ptp(shown, axis=-1) > 40)


def test_two_times_show_the_walker_where_the_projection_says(world, page):
    shown = {}
    for row in (3, 30):
        page.evaluate(f"window.show({world.times[row] - world.times[0]})")
        time.sleep(0.5)
        shown[row] = of_person(page.screenshot()[:360, :640], 3)
        K = world.cameras.K.mean(0)
        K[:2, 2] = 320, 180
        pixels = project(apply(invert(world.cameras.T_world_camera[row]), world.person(3).joints_world[row]), K)
        inside = pixels[((pixels > 3) & (pixels < [636, 356])).all(1)].astype(int)
        hits = [shown[row][y - 3 : y + 4, x - 3 : x + 4].any() for x, y in inside]
        assert len(inside) > 15 and np.mean(hits) > 0.9
        rows, columns = np.nonzero(shown[row])
        assert np.abs(columns.mean() - pixels[:, 0].mean()) < 15 and np.abs(rows.mean() - pixels[:, 1].mean()) < 15
    columns = [np.nonzero(shown[row])[1].mean() for row in (3, 30)]
    assert columns[1] > columns[0] + 30, "the walker goes to the right"
    assert page.complaints == []


def test_who_is_missing_is_not_drawn(world, page):
    """The bystander has a gap in frames 20 to 37."""
    found = []
    for row in (15, 25, 42):
        page.evaluate(f"window.show({world.times[row] - world.times[0] + 1e-3})")
        time.sleep(0.5)
        found.append(int(of_person(page.screenshot()[:360, :640], 5).sum()))
    assert found[1] == 0 and found[0] > 20 and found[2] > 20
