"""Names of weights: a path or a repository; what local files say of themselves."""

import json

import pytest

from diorama.errors import DioramaError
from diorama.networks.josh3r import JOSH3R, JOSH3R_LICENCE, JOSH3RConfig
from diorama.networks.named_weights import check_named, licence_told, part_of, source_and_revision, stamp_of

OWN = "CC0-1.0 (random numbers)"


@pytest.fixture
def weights(tmp_path):
    JOSH3R(JOSH3RConfig.tiny()).save(tmp_path / "weights" / "josh3r", licence=OWN)
    return tmp_path / "weights" / "josh3r"


def test_the_licence_is_that_beside_the_weights(weights, tmp_path):
    for place in (weights, weights / "model.safetensors"):
        assert licence_told(str(place), "josh3r", JOSH3R_LICENCE) == OWN
        assert licence_told(str(place), "mast3r", "published") == "published"
    assert licence_told("owner/name", "josh3r", "published") == "published"
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "other"}))
    assert licence_told(str(tmp_path), "josh3r", "published") == "published"


def test_a_revision_is_no_part_of_a_path(weights):
    assert source_and_revision("owner/name@v1") == ("owner/name", "v1")
    assert source_and_revision("owner/name@") == ("owner/name@".rstrip("@"), None)
    assert source_and_revision(str(weights)) == (str(weights), None)
    odd = weights.parent / "a@b"
    odd.mkdir()
    assert source_and_revision(str(odd)) == (str(odd), None)


def test_other_files_have_another_stamp(weights):
    assert stamp_of("owner/name") == ""
    for place in (weights, weights.parent, weights / "model.safetensors"):
        before = stamp_of(str(place))
        assert "model.safetensors" in before
        assert stamp_of(str(place)) == before
    (weights / "model.safetensors").write_bytes(b"other")
    assert stamp_of(str(weights.parent)) != before and "josh3r/model.safetensors:5:" in stamp_of(str(weights.parent))


def test_a_folder_of_networks_has_a_part_for_each(weights):
    assert part_of(str(weights.parent), "josh3r") == str(weights)
    assert part_of(str(weights.parent), "mast3r") == str(weights.parent)
    assert part_of("owner/name", "josh3r") == "owner/name"


@pytest.mark.parametrize("name", ["no/such/file", "file.pt", "a b/c", "owner/model.safetensors"])
def test_what_is_neither_there_nor_a_repository_is_refused(name):
    with pytest.raises(DioramaError, match="get them there"):
        check_named(name, where="--weights", fix="get them there")
    check_named("owner/name@main", where="--weights", fix="")
