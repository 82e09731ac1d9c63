"""A clip's pairs in batches are the pairs one by one; frames are encoded once; heads run where points are kept."""

import numpy as np
import pytest
import torch

from diorama.errors import DioramaError
from diorama.methods.josh3r.predicted import PairPlan, _still_needed, predicted_pairs
from diorama.networks.josh3r import JOSH3R, JOSH3RConfig
from diorama.networks.mast3r import MASt3R, MASt3RConfig
from random_weights import shaken

FRAMES, SIZE = 7, (48, 80)
BASE, OWN = shaken(MASt3R(MASt3RConfig.tiny())), JOSH3R(JOSH3RConfig.tiny()).eval()


def frames(count=FRAMES):
    return 2 * torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(0)) - 1


def plan(pairs, people, dense=()):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 30, (2, len(people), 2))
    boxes = np.concatenate([corners, corners + rng.uniform(8, 50, (2, len(people), 2))], -1)
    kept = np.isin(np.arange(len(pairs)), dense)
    return PairPlan(np.array(pairs, np.int64).reshape(-1, 2), np.array(people, np.int64), *boxes, kept)


CHAIN = [[i, i + 1] for i in range(FRAMES - 1)]


class Counted:
    """Rows that went through a module while it was looked at."""

    def __init__(self, module):
        self.rows = 0
        self.handle = module.register_forward_hook(self)

    def __call__(self, _module, _inputs, output):
        self.rows += len(output)


def test_passes_of_a_chain():
    counters = {
        "encoder": Counted(BASE.enc_norm),
        "decoder 1": Counted(BASE.dec_blocks[0]),
        "decoder 2": Counted(BASE.dec_blocks2[0]),
        "dense": Counted(BASE.downstream_head1.dpt),
        "dense 2": Counted(BASE.downstream_head2.dpt),
        "descriptors": Counted(BASE.downstream_head1.head_local_features),
        "people": Counted(OWN.decoder_block_1),
    }
    batches = list(predicted_pairs(BASE, OWN, frames(), plan(CHAIN, [0, 0, 1, 3, 5, 5, 5], dense=[4]), batch=4))
    for counter in counters.values():
        counter.handle.remove()
    expected = {"encoder": FRAMES, "decoder 1": FRAMES - 1, "decoder 2": FRAMES - 1, "dense": 1, "people": 7}
    assert {name: counter.rows for name, counter in counters.items()} == expected | {"dense 2": 0, "descriptors": 0}
    assert [batch.dense.tolist() for batch in batches if len(batch.dense)] == [[4]]


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_batches_are_single_pairs(batch):
    # Unordered, backwards, longer, twice, and a pair without people.
    pairs = [[2, 3], [0, 1], [6, 1], [3, 4], [0, 6], [2, 2], [5, 6]]
    mine = plan(pairs, [4, 0, 1, 2, 2, 5, 6, 4], dense=[2, 5])
    images, seen, dense = frames(), [], []
    for found in predicted_pairs(BASE, OWN, images, mine, batch=batch):
        seen += found.people.tolist()
        for row, person in enumerate(found.people):
            first, second = mine.pairs[mine.pair[person]]
            with torch.no_grad():
                sides = BASE.decode(BASE.encode(images[first][None]), BASE.encode(images[second][None]))
                boxes = [torch.from_numpy(b[person : person + 1]).float() for b in (mine.boxes_1, mine.boxes_2)]
                alone = OWN(sides[0].last, sides[1].last, *boxes, SIZE)
            for name, value in alone.items():
                assert torch.allclose(found.human[name][row], value[0], atol=1e-5)
        assert not found.human["rel_trans"].requires_grad
        for row, pair in enumerate(found.dense):
            first, second = mine.pairs[pair]
            with torch.no_grad():
                whole = BASE(images[first][None], images[second][None])
            assert torch.allclose(found.maps.points[row], whole["pts3d_1"][0], atol=1e-5)
        dense += found.dense.tolist()
    assert sorted(seen) == list(range(8)) and sorted(dense) == [2, 5]


def test_frames_are_read_when_they_are_needed_and_let_go():
    taken = iter(frames(6))
    next(predicted_pairs(BASE, OWN, taken, plan(CHAIN[:5], [0, 1]), batch=2))
    assert len(list(taken)) == 4
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 6], [5, 1]])
    assert _still_needed(range(3), pairs, 3) == [0, 1, 2]
    assert _still_needed(range(4), pairs, 4) == [0, 1]
    assert _still_needed(range(6), pairs, 6) == [0]


def test_nothing_to_do():
    assert list(predicted_pairs(BASE, OWN, frames(1), plan([], []))) == []
    assert list(predicted_pairs(BASE, OWN, [], plan([], []))) == []


def test_keyframes_that_do_not_come_are_missed():
    with pytest.raises(DioramaError, match="1 pairs name keyframes beyond the 3"):
        list(predicted_pairs(BASE, OWN, frames(3), plan([[0, 1], [2, 3]], [0])))
