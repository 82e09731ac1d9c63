"""Khronos' own validator finds no errors and no warnings. It comes by npm, once, into the user's cache."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from diorama.assets import cache_dir
from diorama.export.glb import write_glb

pytestmark = pytest.mark.slow

SCRIPT = """
const validator = require(process.argv[1] + '/node_modules/gltf-validator');
const bytes = new Uint8Array(require('fs').readFileSync(process.argv[2]));
validator.validateBytes(bytes, {maxIssues: 50}).then(report => console.log(JSON.stringify(report)));
"""


@pytest.fixture(scope="module")
def validator():
    """A folder that holds `node_modules/gltf-validator`; `GLTF_VALIDATOR` names one that is there already."""
    folder = Path(os.environ.get("GLTF_VALIDATOR") or cache_dir() / "gltf-validator")
    if not shutil.which("node"):
        pytest.skip("node is not here")
    if not (folder / "node_modules" / "gltf-validator").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm") or pytest.skip("npm is not here")
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "gltf-validator@2.0.0-dev.3.10"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("gltf-validator could not be fetched")
    return folder


def validate(folder, path):
    command = ["node", "-e", SCRIPT, str(folder), str(path)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_no_errors_and_no_warnings(world, validator, tmp_path):
    report = validate(validator, write_glb(world, tmp_path / "world.glb"))
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]["messages"]
    assert report["info"]["hasSkins"] and report["info"]["animationCount"] == 1


def test_the_validator_is_awake(world, validator, tmp_path):
    path = write_glb(world, tmp_path / "world.glb")
    path.write_bytes(path.read_bytes().replace(b'"SCALAR"', b'"SCALER"', 1))
    assert validate(validator, path)["issues"]["numErrors"] > 0
