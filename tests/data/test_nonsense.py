"""Whatever is wrong in a data set's file, the reader says so in one line that names the file; it never just breaks."""

import pickle

import numpy as np
import pytest
from rich_tree import smpl_parameters, write_bodies, write_pictures, write_place
from test_emdb import PARTIAL, emdb_content
from test_emdb import write_sequence as write_emdb
from test_sloper4d import labels_content
from test_sloper4d import write_sequence as write_sloper4d
from test_threedpw import pw_content
from test_threedpw import write_sequence as write_3dpw
from worlds import tiny_cameras, tiny_motion

from diorama.data import open_dataset
from diorama.errors import DioramaError

NONSENSE = (None, "text", -1, 0, 2.5, [], {}, np.zeros(0), np.zeros((7, 7, 7)), np.array(["a"]), [None, None])


def write_rich(root, content):
    write_place(root, "Gym")
    folder = root / "bodies" / "test" / "Gym_011_cooking1"
    write_bodies(folder, tiny_motion(1), 1)
    (folder / "00010" / "011_smpl.pkl").write_bytes(pickle.dumps(content))
    write_pictures(root / "images" / "test" / "Gym_011_cooking1" / "cam_00", 0, [10])


WORLDS = {
    "emdb2": (
        lambda: emdb_content(tiny_motion(5), tiny_cameras(5, (0, 1, 0))),
        lambda root, content: write_emdb(root, "P2_20_outdoor_walk", content, pictures=0),
    ),
    "sloper4d": (lambda: labels_content(tiny_motion(4)), write_sloper4d),
    "3dpw": (lambda: pw_content(tiny_cameras(4, (0, 1, 0))), write_3dpw),
    "rich": (lambda: smpl_parameters(tiny_motion(1), 0), write_rich),
}


def places(content):
    """Every entry of a content, also those of its tables."""
    for key, value in content.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, inner) for inner in value)


def complaint(name, root, what):
    """What the reader says, or None if it is content."""
    try:
        open_dataset(name, root, PARTIAL)[0].parameters()
    except DioramaError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(what) from error
    return None


@pytest.mark.parametrize("name", WORLDS)
def test_nonsense_in_any_entry_is_an_error_of_that_file_or_harmless(tmp_path, name):
    make, write = WORLDS[name]
    refused = 0
    for number, place in enumerate(places(make())):
        for kind, nonsense in enumerate(NONSENSE):
            content = make()
            table = content if len(place) == 1 else content[place[0]]
            table[place[-1]] = nonsense
            root = tmp_path / f"{number}_{kind}"
            write(root, content)
            said = complaint(name, root, f"{place} = {nonsense!r}")
            refused += said is not None
            assert said is None or (".pkl" in said and "\n" not in said), (place, nonsense)
    assert refused > 30
