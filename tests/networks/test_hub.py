"""Weights of the hub: its real client asks a hub on this machine; then the network goes away, or the cache is damaged."""

import logging
import sys

import pytest
import torch

from diorama.errors import DioramaError
from diorama.networks.hub import is_hub_id
from diorama.networks.pi3 import Pi3, Pi3Config
from local_hub import COMMIT, REPOSITORY, local_hub
from random_weights import shaken

pytest.importorskip("huggingface_hub")
from huggingface_hub import constants
from huggingface_hub.utils import disable_progress_bars


@pytest.fixture(scope="module")
def network():
    return shaken(Pi3(Pi3Config.tiny()))


@pytest.fixture
def cache(network, tmp_path, monkeypatch):
    """The client's empty cache; its hub has the network."""
    network.save(tmp_path / "repository", licence="CC0-1.0")
    (tmp_path / "repository" / "README.md").write_text("about")
    with local_hub(tmp_path / "repository") as address:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        disable_progress_bars()
        yield tmp_path / "cache"


@pytest.fixture
def cut(monkeypatch):
    """Cuts the network as HF_HUB_OFFLINE=1 does."""
    return lambda: monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def same(found, network):
    ours, theirs = found.state_dict(), network.state_dict()
    return found.config == network.config and all(torch.equal(ours[name], value) for name, value in theirs.items())


def refused(source, message, **options):
    with pytest.raises(DioramaError, match=message) as caught:
        Pi3.from_pretrained(source, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("revision", [None, "v1", COMMIT])
def test_fetched_and_then_taken_without_network(cache, network, cut, caplog, revision):
    with caplog.at_level(logging.INFO):
        assert same(Pi3.from_pretrained(REPOSITORY, revision=revision), network)
    assert COMMIT in caplog.text and "cannot be asked" not in caplog.text
    cut()
    assert same(Pi3.from_pretrained(REPOSITORY, revision=revision), network)
    assert f"the hub cannot be asked; taking the kept files of commit {COMMIT}" in caplog.text


def test_nothing_kept_and_no_network(cache, cut):
    cut()
    refused(REPOSITORY, "cannot be fetched .*; check name, revision, access and network")


def test_another_revision_is_not_taken_for_it(cache, cut):
    Pi3.from_pretrained(REPOSITORY, revision="v1")
    cut()
    refused(REPOSITORY, "cannot be fetched", revision="v2")


def test_a_hub_that_is_not_there(cache, network, monkeypatch):
    Pi3.from_pretrained(REPOSITORY)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert same(Pi3.from_pretrained(REPOSITORY), network)
    refused("someone/else", "cannot be fetched")


def test_what_the_hub_does_not_have(cache):
    refused("someone/else", "cannot be fetched")
    # What is kept of a revision does not stand in for one that the hub denies.
    Pi3.from_pretrained(REPOSITORY)
    refused(REPOSITORY, "cannot be fetched", revision="v2")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_what_was_sent_is_compared(cache, network, name):
    Pi3.from_pretrained(REPOSITORY)
    (kept,) = cache.rglob(f"snapshots/{COMMIT}/{name}")
    damaged = bytearray(kept.read_bytes())
    damaged[-3] ^= 1
    kept.resolve().write_bytes(damaged)
    refused(REPOSITORY, "hash differs from the one that the hub states")
    # The file that the message names is the one to delete.
    kept.resolve().unlink()
    assert same(Pi3.from_pretrained(REPOSITORY), network)


def test_without_the_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused(REPOSITORY, r"pip install \"diorama\[hub\]\"")


@pytest.mark.parametrize(
    ("source", "yes"),
    [
        ("someone/pi3-tiny", True),
        ("some.one/Pi3_x.1", True),
        ("weights/absent.pth", False),
        ("folder/model.safetensors", False),
        ("../weights", False),
        ("a/b/c", False),
        ("alone", False),
    ],
)
def test_names_of_repositories(source, yes):
    assert is_hub_id(source) == yes
