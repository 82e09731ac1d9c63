"""Follow people from frame to frame: predict, look again, find new ones, split merged ones, end lost ones.

Every person carries his own crop, mask and colours. People whose boxes touch are looked at in turn with each other
erased (`separation`); the detector runs only every few frames, to find people whom nobody follows yet.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from diorama.frontends.association import (
    Person,
    Seen,
    assign,
    body_centre,
    body_height,
    candidate_to_pose,
    in_front,
    masks_touch,
    touching_groups,
)
from diorama.frontends.blazepose import BlazePose, Candidates, Pose, Region
from diorama.frontends.past_frames import PastFrame
from diorama.frontends.person_colours import Colours, learn_colours
from diorama.frontends.person_detection import DetectionConfig, detect_people
from diorama.frontends.separation import (
    EMPTY,
    Scene,
    SeparationConfig,
    Sighting,
    Suspect,
    are_two_people,
    joints_inside,
    look,
    pose_distance,
    separate,
    split_person,
)
from diorama.frontends.silhouettes import Canvas, Flow, Silhouette


@dataclass(frozen=True)
class TrackingConfig:
    """Lengths are relative to the size of a person's crop (about 1.3 times the height), times are in frames.

    The detector runs every `detect_every` frames (`detect_every_alone` while nobody is followed). A person is born
    with `birth_presence` and `birth_inside` (share of joints on the mask), and seen with `min_presence` and
    `min_inside`; one who moved more than `max_jump` from the prediction, or whose size changed by more than
    `max_growth`, is not believed to be the same. After `max_lost` frames unseen the track ends, as it does when the
    detector, after `patience` runs, saw nobody there in more than `min_confirmed` of them. Two skeletons closer
    than `same_person` are one person. A candidate closer than `explained` to a followed person is that person. People
    whose masks come within `touch_margin` are looked at together, `overlap_rounds` times; one who turns up beside
    another is followed backwards with him through up to `trace_back` frames. People lower than
    `min_height` of the picture's shorter side are left alone (their pose would be guesswork, and so might they) where
    somebody is followed who is taller by the factor `much_taller`.
    """

    detect_every: int = 8
    detect_every_alone: int = 4
    birth_presence: float = 0.8
    birth_inside: float = 0.7
    min_confirmed: float = 0.3
    patience: int = 4
    min_presence: float = 0.5
    min_inside: float = 0.4
    max_jump: float = 0.25
    max_growth: float = 1.4
    max_lost: int = 12
    same_person: float = 0.08
    explained: float = 0.2
    touch_margin: float = 0.05
    overlap_rounds: int = 2
    trace_back: int = 60
    min_height: float = 0.15
    much_taller: float = 2.0
    max_people: int = 24


class Tracker:
    """Follows people over the frames of one shot, one `step` per frame."""

    def __init__(
        self,
        networks: BlazePose,
        canvas: Canvas,
        config: TrackingConfig,
        detection: DetectionConfig,
        separation: SeparationConfig,
    ) -> None:
        self.networks, self.canvas = networks, canvas
        self.config, self.detection, self.separation = config, detection, separation
        self.people: list[Person] = []
        self.past: list[Person] = []
        self.ahead: dict[tuple[int, int], float] = {}
        self.flow = Flow()
        self.ignored_small = 0
        self.started = False
        # Earlier frames, to find out since when a new person is there; `unsearched` of them since the detector last ran.
        self.memory: deque[PastFrame] = deque(maxlen=config.trace_back)
        self.unsearched = 0

    def step(self, row: int, rgb: UInt8[np.ndarray, "height width 3"]) -> list[tuple[int, Seen]]:
        """Look at one more frame: who was seen, by id; also where new people were in the few frames before."""
        scene = Scene.of(rgb, self.canvas)
        fresh = self._follow(scene)
        earlier: list[tuple[int, Seen]] = []
        if self.unsearched >= self._interval() or not self.started:
            self.started = True
            followed = set(fresh)
            fresh |= self._discover(scene, row, fresh)
            fresh |= self._probe(scene, row, fresh)
            for key in sorted(fresh.keys() - followed):
                earlier += self._trace_back(key, scene, fresh)
            self.unsearched = 0
        fresh = self._without_duplicates(fresh)
        seen = self._update(scene, row, fresh)
        self._end_lost()
        self.flow.remember(scene.colours)
        self.memory.append(PastFrame.of(row, rgb, fresh))
        self.unsearched += 1
        return earlier + list(seen.items())

    def _interval(self) -> int:
        """Frames from one run of the detector to the next."""
        return self.config.detect_every if self.people else self.config.detect_every_alone

    def _trace_back(self, key: int, scene: Scene, fresh: dict[int, Sighting]) -> list[tuple[int, Seen]]:
        """Follow a new person backwards through the frames since the detector last ran; and farther, together with
        somebody whom he touches, while both can be told apart: until now they were taken for one."""
        person, partner = Person(key, fresh[key], 0), self._partner(key, fresh)
        flow = Flow()
        flow.remember(scene.colours)
        out: list[tuple[int, Seen]] = []
        for age, past in enumerate(reversed(self.memory)):
            partner = partner if partner and partner.id in past.present else None
            if key in past.present or (partner is None and age >= self.unsearched):
                break
            scene = Scene.of(past.picture(), self.canvas)
            pair = [person, partner] if partner else [person]
            bystanders = {k: s for k, s in past.present.items() if k not in [p.id for p in pair]}
            found = self._look_back(scene, pair, [s.mask for s in bystanders.values()], flow)
            if found is None or any(self._is_duplicate(found[0].pose, s.pose) for s in bystanders.values()):
                break
            touched = len(pair) > 1 or any(
                masks_touch(found[0].mask, s.mask, self._reach(found[0])) for s in bystanders.values()
            )
            for follower, sighting in zip(pair, found, strict=True):
                follower.velocity = 0.5 * (follower.velocity + body_centre(sighting.pose) - follower.centre)
                follower.sighting = sighting
                out.append((follower.id, Seen(past.row, sighting, touched)))
            flow.remember(scene.colours)
            if partner and not masks_touch(found[0].mask, found[1].mask, 2 * self._reach(found[0])):
                partner = None
        return out

    def _partner(self, key: int, fresh: dict[int, Sighting]) -> Person | None:
        """A copy of the nearest person whom the new one touches, to be followed backwards."""
        mine = fresh[key]
        close = [
            p for p in self.people
            if p.id != key and p.id in fresh and masks_touch(mine.mask, fresh[p.id].mask, 2 * self._reach(mine))
        ]  # fmt: skip
        if not close:
            return None
        nearest = min(close, key=lambda p: float(np.linalg.norm(p.centre - body_centre(mine.pose))))
        return Person(nearest.id, fresh[nearest.id], 0, velocity=-nearest.velocity)

    def _look_back(
        self, scene: Scene, pair: list[Person], bystanders: list[Silhouette], flow: Flow
    ) -> list[Sighting] | None:
        """One person or two in an earlier frame; None unless all are there, and two are not one."""
        suspects = [p.predicted(self.canvas) for p in pair]
        if len(pair) == 1:
            found = separate(self.networks, scene, suspects, bystanders, 1)
        else:
            fastest = max(float(np.abs(p.velocity).max()) for p in pair) * self.canvas.scale
            masks = flow.carry([p.sighting.mask for p in pair], scene.colours, 16 + int(fastest))
            carried = [replace(s, mask=m) for s, m in zip(suspects, masks, strict=True)]
            # Nearest first, as in `_follow`.
            order = sorted(range(2), key=lambda k: -(carried[k].mask.box() or (0, 0, 0, 0))[3])
            ahead = self._order([pair[k].id for k in order])
            looked = separate(
                self.networks, scene, [carried[k] for k in order], bystanders, self.config.overlap_rounds, ahead
            )
            found = [looked[order.index(k)] for k in range(2)]
            if not are_two_people(found[0], found[1], self.canvas, self.separation):
                return None
        same = all(self._is_same(p, s, f) for p, s, f in zip(pair, suspects, found, strict=True))
        return found if same else None

    def _reach(self, sighting: Sighting) -> float:
        """Distance in canvas px below which two masks are taken to touch."""
        return 0.5 * self.config.touch_margin * self.canvas.scale * sighting.pose.region.size

    # One frame, in order of call.

    def _follow(self, scene: Scene) -> dict[int, Sighting]:
        suspects = [person.predicted(self.canvas) for person in self.people]
        if not suspects:
            return {}
        found: dict[int, Sighting] = {}
        for group in touching_groups(self._touch(suspects)):
            # Whoever stands lower in the picture is probably nearer, and hidden less: he goes first.
            group = sorted(group, key=lambda k: -(suspects[k].mask.box() or (0, 0, 0, 0))[3])
            if len(group) > 1:
                suspects = self._carried(scene, suspects, group)
            around = [s.mask for k, s in enumerate(suspects) if k not in group]
            rounds = self.config.overlap_rounds if len(group) > 1 else 1
            ahead = self._order([self.people[k].id for k in group])
            sightings = separate(self.networks, scene, [suspects[k] for k in group], around, rounds, ahead)
            for k, sighting in zip(group, sightings, strict=True):
                if self._is_same(self.people[k], suspects[k], sighting):
                    found[self.people[k].id] = sighting
        return found

    def _carried(self, scene: Scene, suspects: list[Suspect], group: list[int]) -> list[Suspect]:
        """The suspects of `group` with masks that followed the picture's motion, if they were seen one frame ago."""
        rows = [k for k in group if not self.people[k].missed]
        if not rows:
            return suspects
        fastest = max(float(np.abs(self.people[k].velocity).max()) for k in rows) * self.canvas.scale
        masks = self.flow.carry([self.people[k].sighting.mask for k in rows], scene.colours, 16 + int(fastest))
        moved = dict(zip(rows, masks, strict=True))
        return [replace(s, mask=moved.get(k, s.mask)) for k, s in enumerate(suspects)]

    def _order(self, ids: list[int]) -> Float[np.ndarray, "people people"]:
        """[i, j] how sure person i stands in front of person j, 0..1."""
        return np.array([[np.clip(8 * self.ahead.get((i, j), 0.0), 0, 1) for j in ids] for i in ids])

    def _learn_order(self, fresh: dict[int, Sighting], close: list[tuple[int, int]]) -> None:
        """Running mean, for people close to each other, of the signs that one stands before the other."""
        for i, j in close:
            sign = in_front(fresh[i], fresh[j], self.canvas)
            self.ahead[i, j] = 0.9 * self.ahead.get((i, j), sign) + 0.1 * sign
            self.ahead[j, i] = -self.ahead[i, j]

    def _touch(self, suspects: list[Suspect]) -> Bool[np.ndarray, "people people"]:
        touch = np.eye(len(suspects), dtype=bool)
        for i, j in itertools.combinations(range(len(suspects)), 2):
            margin = self.config.touch_margin * self.canvas.scale * suspects[i].region.size
            touch[i, j] = touch[j, i] = masks_touch(suspects[i].mask, suspects[j].mask, margin)
        return touch

    def _is_same(self, person: Person, before: Suspect, now: Sighting) -> bool:
        config, pose = self.config, now.pose
        expected = person.centre + person.velocity * (1 + person.missed)
        jump = np.linalg.norm(body_centre(pose) - expected) / person.sighting.pose.region.size
        growth = pose.next_region.size / max(before.region.size, 1.0)
        return bool(
            pose.presence >= config.min_presence
            and joints_inside(pose, now.mask, self.canvas, now.hidden) >= config.min_inside
            and jump <= config.max_jump * (1 + 0.2 * person.missed)
            and 1 / config.max_growth <= growth <= config.max_growth
        )

    def _discover(self, scene: Scene, row: int, fresh: dict[int, Sighting]) -> dict[int, Sighting]:
        """People whom nobody follows, from the detector; also people who were lost and come back."""
        found = detect_people(self.networks, scene.picture, self.detection)
        unexplained = self._confirm(found, fresh)
        born: dict[int, Sighting] = {}
        for k in unexplained:
            everybody = fresh | born
            if not self._worth_a_look(found, k, everybody):
                continue
            sighting = self._meet(scene, found.region(k), [s.mask for s in everybody.values()])
            if sighting is None or len(self.people) >= self.config.max_people:
                continue
            if any(self._is_duplicate(sighting.pose, s.pose) for s in everybody.values()):
                continue
            if self._is_small(body_height(sighting.pose), everybody):
                self.ignored_small += 1
                continue
            born[self._recognise(sighting, everybody) or self._add(sighting, row, seen_by_detector=True)] = sighting
        return born

    def _confirm(self, found: Candidates, fresh: dict[int, Sighting]) -> list[int]:
        """Note for every followed person whether the detector sees him too; the candidates that are nobody's."""
        regions = [found.region(k) for k in range(len(found))]
        explained = np.zeros((len(self.people), len(found)), bool)
        for row, person in enumerate(self.people):
            if person.id not in fresh:
                continue
            pose = fresh[person.id].pose
            for k, region in enumerate(regions):
                near = candidate_to_pose(found.points[k], region, pose) < self.config.explained
                explained[row, k] = near and 0.6 < region.size / pose.next_region.size < 1.7
            person.chances += 1
            person.confirmed += bool(explained[row].any())
        return [int(k) for k in np.flatnonzero(~explained.any(0))]

    def _meet(self, scene: Scene, region: Region, others: list[Silhouette]) -> Sighting | None:
        """The person in `region`, if there is one; two looks, for the detector's crop is rough."""
        pose, _ = look(self.networks, scene, region, others)
        if abs(region.angle) > np.pi / 4:
            # Two people who sit side by side look like one who lies; a crop with the picture's up tells.
            upright, _ = look(self.networks, scene, replace(pose.next_region, angle=0.0), others)
            stands = abs(upright.next_region.angle) < np.pi / 4
            pose = upright if stands and upright.presence >= self.config.birth_presence else pose
        if pose.presence < self.config.min_presence:
            return None
        [sighting] = separate(self.networks, scene, [Suspect(pose.next_region, EMPTY, Colours())], others, 1)
        pose, mask = sighting.pose, sighting.mask
        inside = joints_inside(pose, mask, self.canvas)
        if pose.presence < self.config.birth_presence or inside < self.config.birth_inside:
            return None
        return replace(sighting, colours=learn_colours(Colours(), mask, pose.keypoints, scene.colours, self.canvas))

    def _worth_a_look(self, found: Candidates, k: int, everybody: dict[int, Sighting]) -> bool:
        """Not far too small, and not with hips and shoulders on the mask of somebody whom we follow already."""
        torso = found.points[k, [0, 2]] * self.canvas.scale
        if any((s.mask.at(torso) > 0.5).all() for s in everybody.values()):
            return False
        # A crop is at most twice as large as the person in it; whoever is small even so is small.
        small = self._is_small(found.region(k).size, everybody)
        self.ignored_small += small
        return not small

    def _is_small(self, height: float, everybody: dict[int, Sighting]) -> bool:
        limit = self.config.min_height * min(self.canvas.width, self.canvas.height) / self.canvas.scale
        tallest = max((body_height(s.pose) for s in everybody.values()), default=0.0)
        return height < limit and tallest > self.config.much_taller * height

    def _recognise(self, sighting: Sighting, present: dict[int, Sighting]) -> int | None:
        """The id of a lost person who is this one, by place and colours."""
        lost = [p for p in self.people if p.missed and p.id not in present]
        size = sighting.pose.region.size
        cost = np.array(
            [
                np.linalg.norm(p.centre + p.velocity * p.missed - body_centre(sighting.pose)) / size
                + p.sighting.colours.distance(sighting.colours)
                for p in lost
            ]
        )
        pairs = assign(cost[None], 0.7)
        return lost[pairs[0][1]].id if pairs else None

    def _add(self, sighting: Sighting, row: int, *, seen_by_detector: bool = False) -> int:
        looks = int(seen_by_detector)
        number = 1 + len(self.people) + len(self.past)
        self.people.append(Person(number, sighting, row, chances=looks, confirmed=looks))
        return number

    def _probe(self, scene: Scene, row: int, fresh: dict[int, Sighting]) -> dict[int, Sighting]:
        """Ask of everybody, at growing intervals, whether he is really two people."""
        changed: dict[int, Sighting] = {}
        for person in [p for p in self.people if p.id in fresh and row >= p.next_probe]:
            person.next_probe = row + max(self.config.detect_every, row - person.born)
            everybody = fresh | changed
            around = [s.mask for key, s in everybody.items() if key != person.id]
            pair = split_person(self.networks, scene, everybody[person.id], around, self.separation)
            others = [s for key, s in everybody.items() if key != person.id]
            if pair is None or any(self._is_duplicate(a.pose, b.pose) for a in pair for b in others):
                continue
            heir, other = sorted(pair, key=lambda s: s.colours.distance(person.sighting.colours))
            changed |= {person.id: heir, self._add(other, row): other}
            person.count = max(person.count, 1)
        return changed

    def _is_duplicate(self, one: Pose, other: Pose) -> bool:
        return pose_distance(one, other) < self.config.same_person

    def _without_duplicates(self, fresh: dict[int, Sighting]) -> dict[int, Sighting]:
        """Of two tracks on one person the one that is followed longer stays."""
        kept: dict[int, Sighting] = {}
        for person in sorted(self.people, key=lambda p: (-p.count, p.id)):
            if person.id not in fresh:
                continue
            sighting = fresh[person.id]
            double = [key for key, other in kept.items() if self._is_duplicate(sighting.pose, other.pose)]
            if double:
                person.ended = f"duplicate of {double[0]}"
            else:
                kept[person.id] = sighting
        return kept

    def _update(self, scene: Scene, row: int, fresh: dict[int, Sighting]) -> dict[int, Seen]:
        close = self._close_pairs(fresh)
        self._learn_order(fresh, close)
        overlapped = {key for pair in close for key in pair}
        seen: dict[int, Seen] = {}
        for person in self.people:
            sighting = fresh.get(person.id)
            if sighting is None:
                person.missed += 1
                person.velocity = 0.9 * person.velocity
                continue
            if person.count:
                step = (body_centre(sighting.pose) - person.centre) / (1 + person.missed)
                person.velocity = 0.5 * person.velocity + 0.5 * step
            # Beside others, wrong pixels would teach wrong colours: learn slowly there.
            memory = 200.0 if person.id in overlapped else 20.0
            colours = learn_colours(
                sighting.colours, sighting.mask, sighting.pose.keypoints, scene.colours, self.canvas, memory
            )
            person.sighting = replace(sighting, colours=colours)
            person.missed, person.count = 0, person.count + 1
            seen[person.id] = Seen(row, person.sighting, person.id in overlapped)
        return seen

    def _close_pairs(self, fresh: dict[int, Sighting]) -> list[tuple[int, int]]:
        """Ids of pairs of people whose masks touch (half `touch_margin` of the size apart)."""
        return [
            (i, j)
            for i, j in itertools.combinations(fresh, 2)
            if masks_touch(fresh[i].mask, fresh[j].mask, self._reach(fresh[i]))
        ]

    def _end_lost(self) -> None:
        for person in self.people:
            if person.missed > self.config.max_lost:
                person.ended = person.ended or "lost"
            doubtful = person.confirmed < self.config.min_confirmed * person.chances
            if doubtful and person.chances >= self.config.patience:
                person.ended = person.ended or "the detector does not see it"
        self.past += [p for p in self.people if p.ended]
        self.people = [p for p in self.people if not p.ended]
