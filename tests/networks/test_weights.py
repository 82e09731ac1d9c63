"""Weights from files, folders and the hub: what is saved comes back; what is wrong ends in one line that names it."""

import json
import logging
import pickle
import struct
from pathlib import Path

import pytest
import torch

from diorama.assets import sha256_of
from diorama.errors import DioramaError
from diorama.networks.pi3 import Pi3, Pi3Config
from diorama.networks.unish import UniSH, UniSHConfig
from diorama.networks.weight_files import read_weights, write_safetensors
from random_weights import clip, shaken

TINY = Pi3Config.tiny()


@pytest.fixture(scope="module")
def network():
    return shaken(Pi3(TINY))


@pytest.fixture(scope="module")
def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def refused(source, message, **options):
    options = {"config": TINY, **options}
    with pytest.raises(DioramaError, match=message) as caught:
        Pi3.from_pretrained(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in b) and set(a) == set(b)


def test_a_folder_comes_back_with_its_sizes(network, tmp_path, caplog):
    network.save(tmp_path / "new" / "folder", licence="CC0-1.0")
    with caplog.at_level(logging.WARNING):
        found = Pi3.from_pretrained(tmp_path / "new" / "folder")
    assert found.config == TINY and not found.training
    assert equal(found.state_dict(), network.state_dict())
    assert "CC0-1.0" in caplog.text
    images = clip(1, 2, 14, 28)[0]
    assert torch.equal(found(images)["local_points"], network(images)["local_points"])
    assert all(value.requires_grad for value in found.parameters())


def test_unish_too_and_its_scene_branch_alone(tmp_path):
    whole = shaken(UniSH(UniSHConfig.tiny()))
    whole.save(tmp_path, licence="CC BY-NC 4.0")
    assert equal(UniSH.from_pretrained(str(tmp_path)).state_dict(), whole.state_dict())
    assert json.loads((tmp_path / "config.json").read_text())["diorama"] == "unish"
    (tmp_path / "config.json").unlink()
    scene = Pi3.from_pretrained(tmp_path, config=TINY)
    assert equal(scene.state_dict(), whole.pi3.state_dict())


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("old", [False, True])
def test_torch_files(weights, tmp_path, wrapper, old):
    path = tmp_path / "weights.pt"
    content = weights if wrapper is None else {"epoch": 3, wrapper: weights}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    assert equal(Pi3.from_pretrained(path, config=TINY).state_dict(), weights)


def test_half_precision_files_become_float32(weights, tmp_path):
    write_safetensors(tmp_path / "w.safetensors", {name: value.bfloat16() for name, value in weights.items()})
    found = Pi3.from_pretrained(tmp_path / "w.safetensors", config=TINY)
    assert torch.equal(found.encoder.cls_token, weights["encoder.cls_token"].bfloat16().float())
    half = Pi3.from_pretrained(tmp_path / "w.safetensors", config=TINY, dtype=torch.bfloat16)
    assert half.encoder.cls_token.dtype == torch.bfloat16 and half.image_mean.dtype == torch.float32


def test_the_published_licence_is_shown(weights, tmp_path, caplog):
    torch.save(weights, tmp_path / "pi3.pth")
    with caplog.at_level(logging.WARNING):
        Pi3.from_pretrained(tmp_path / "pi3.pth", config=TINY)
    assert "CC BY-NC 4.0" in caplog.text


@pytest.mark.parametrize("name", ["model.safetensors", "w.pt"])
def test_the_file_and_the_network_part_ways(network, weights, tmp_path, name):
    """Learning does not reach the file, nor does saving anew or deleting the file reach the network."""
    path = tmp_path / name
    torch.save(weights, path) if name == "w.pt" else write_safetensors(path, weights)
    before = path.read_bytes()
    found, again = (Pi3.from_pretrained(path, config=TINY) for _ in range(2))
    with torch.no_grad():
        found.register_token += 1
    assert path.read_bytes() == before
    assert equal(again.state_dict(), weights)
    found.save(tmp_path, licence="CC0-1.0")
    path.unlink()
    assert equal(again.state_dict(), weights)
    assert torch.equal(found.register_token, network.register_token + 1)


def test_tied_weights_become_the_networks_own(weights, tmp_path):
    tied = {**weights, "conf_decoder.projects.weight": weights["point_decoder.projects.weight"]}
    torch.save(tied, tmp_path / "w.pt")
    found = Pi3.from_pretrained(tmp_path / "w.pt", config=TINY)
    with torch.no_grad():
        found.conf_decoder.projects.weight.zero_()
    assert torch.equal(found.point_decoder.projects.weight, weights["point_decoder.projects.weight"])


def test_saving_is_all_or_nothing(network, weights, tmp_path):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, weights)
    before = path.read_bytes()
    write_safetensors(path, dict(reversed(weights.items())))
    assert path.read_bytes() == before
    with pytest.raises(DioramaError, match="cannot be saved") as caught:
        write_safetensors(path, {"a": torch.zeros(2), "b": torch.zeros(2, dtype=torch.complex128)})
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_tied_weights_are_saved_under_both_names(tmp_path):
    tied = torch.arange(4.0)
    write_safetensors(tmp_path / "w.safetensors", {"a": tied, "b": tied, "c": tied[2:]})
    found = read_weights(tmp_path / "w.safetensors")
    assert {name: value.tolist() for name, value in found.items()} == {
        "a": [0, 1, 2, 3],
        "b": [0, 1, 2, 3],
        "c": [2, 3],
    }


def test_every_difference_is_named(weights, tmp_path):
    changed = dict(weights)
    del changed["encoder.cls_token"], changed["point_head.proj.bias"]
    changed["extra.one"] = torch.zeros(1)
    changed["register_token"] = torch.zeros(1, 1, 4, 64)
    torch.save(changed, tmp_path / "w.pt")
    message = refused(tmp_path / "w.pt", "do not fit Pi3")
    for part in (
        "2 missing (encoder.cls_token, point_head.proj.bias)",
        "1 unknown (extra.one)",
        "1 of another shape (register_token (1, 1, 4, 64) for (1, 1, 5, 64))",
    ):
        assert part in message


def test_long_lists_are_cut(weights, tmp_path):
    torch.save(weights, tmp_path / "w.pt")
    message = refused(tmp_path / "w.pt", r"missing .* and \d+ more", config=None)
    assert len(message) < 2000


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none(weights, tmp_path, value):
    broken = dict(weights)
    broken["camera_head.fc_t.weight"] = weights["camera_head.fc_t.weight"].clone()
    broken["camera_head.fc_t.weight"][1, 1] = value
    write_safetensors(tmp_path / "w.safetensors", broken)
    refused(tmp_path / "w.safetensors", r"1 not finite \(camera_head.fc_t.weight\)")


class Runs:
    """A pickle that would make a file if it were run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("old", [False, True])
def test_code_in_a_pickle_is_refused(weights, tmp_path, old):
    trap = tmp_path / "sprung"
    torch.save({**weights, "extra": Runs(trap)}, tmp_path / "w.pt", _use_new_zipfile_serialization=not old)
    refused(tmp_path / "w.pt", "refused to read this file: it asks for .*, which could run code")
    (tmp_path / "bare.bin").write_bytes(pickle.dumps(Runs(trap)))
    refused(tmp_path / "bare.bin", "refused to read this file")
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 broken", bytes(2000)])
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_damaged_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "not a readable|refused to read|no table of weights|do not fit")


def test_cut_files(weights, tmp_path):
    write_safetensors(tmp_path / "w.safetensors", weights)
    torch.save(weights, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        whole = (tmp_path / name).read_bytes()
        for share in (0.01, 0.3, 0.999):
            (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
            refused(tmp_path / name, "not a readable")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
        {"dtype": "object", "shape": [1], "data_offsets": [0, 4]},
        {"shape": [1]},
        "F32",
    ],
)
def test_headers_that_lie(tmp_path, entry):
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    refused(tmp_path / "w.safetensors", "not a readable safetensors file")


def test_the_format_is_the_published_one(tmp_path):
    """A file written by hand after the format's description, with a part of odd length before a wide one."""
    header = {
        "__metadata__": {"format": "pt"},
        "flag": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]},
        "half": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [3, 7]},
        "one": {"dtype": "F64", "shape": [], "data_offsets": [7, 15]},
        "none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [15, 15]},
    }
    text = json.dumps(header).encode()
    numbers = bytes([1, 0, 1]) + struct.pack("<HH", 0x3F80, 0xC000) + struct.pack("<d", 0.1)
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    found = read_weights(tmp_path / "w.safetensors")
    assert found["flag"].tolist() == [True, False, True]
    assert found["half"].tolist() == [[1.0, -2.0]] and found["half"].dtype == torch.bfloat16
    assert found["one"].item() == 0.1 and found["none"].shape == (0, 4)
    write_safetensors(tmp_path / "again.safetensors", found)
    assert equal(read_weights(tmp_path / "again.safetensors"), found)


def test_places_without_weights(tmp_path):
    refused(tmp_path, "no file of weights")
    refused(tmp_path / "absent.pt", "no such file")
    (tmp_path / "notes.txt").write_text("")
    refused(tmp_path / "notes.txt", "no kind of weight file")
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(b"")
    refused(tmp_path, r"several files of weights \(a.safetensors, b.safetensors\)")


def test_configurations_that_do_not_hold(network, tmp_path):
    network.save(tmp_path, licence="CC0-1.0")
    path = tmp_path / "config.json"
    about = json.loads(path.read_text())
    with pytest.raises(DioramaError, match="weights of 'pi3', not of 'unish'"):
        UniSH.from_pretrained(tmp_path)
    about["config"]["encoder"]["heads"] = 0
    path.write_text(json.dumps(about))
    refused(tmp_path, "no network has these sizes", config=None)
    path.write_text("{")
    refused(tmp_path, "not a readable configuration", config=None)
    path.write_text(json.dumps({"architectures": ["somebody else's"]}))
    assert equal(Pi3.from_pretrained(tmp_path, config=TINY).state_dict(), network.state_dict())


def test_a_given_hash_is_compared(network, tmp_path):
    network.save(tmp_path, licence="CC0-1.0")
    Pi3.from_pretrained(tmp_path, sha256=sha256_of(tmp_path / "model.safetensors"))
    refused(tmp_path, "hash differs", sha256=64 * "0")
