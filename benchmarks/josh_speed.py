"""Speed of JOSH's joint optimisation of one chunk: Levenberg-Marquardt against the paper's Adam on the same terms.

    OMP_NUM_THREADS=1 python benchmarks/josh_speed.py

21 keyframes of 288x512, depth on every 8th pixel, all pairs up to 10 keyframes apart with at most 1500 matches each, six
contacts per keyframe and person: `JoshProblem` with its defaults. Contacts are searched once, so that both solvers have
the same terms; both start from the same first world. The paper's rate (0.05) is for its own scaling of the unknowns, so
smaller ones are tried too. Seconds are the process's own CPU seconds, with one thread.

For comparison: the release of JOSH takes 110-113 s of CPU time for its 500 + 200 iterations of Adam on a like problem
(one person, fewer unknowns: neither depth nor people move; measured on this kind of machine, spec of the method, section
10). That is no figure of this run.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from diorama.methods.josh.key_problem import KeyProblem
from diorama.methods.josh.key_solve import KeyConfig, build, solve_keyframes
from diorama.methods.josh.method import JoshConfig, keyframe_problems
from diorama.solver import AdamConfig, LMConfig, solve, solve_adam
from diorama.synthetic.josh_problem import JoshProblem, josh_problem


@dataclass(frozen=True)
class Chunk:
    """One problem, and the CPU seconds that its first world and its preparation took."""

    problem: KeyProblem
    keys: KeyConfig
    prepared: float


@dataclass(frozen=True)
class Trace:
    """Costs of a solve after each iteration (the first entry: before) and CPU seconds since its start."""

    seconds: list[float]
    costs: list[float]

    def until(self, cost: float) -> tuple[float, int]:
        """CPU seconds and iterations until the cost is reached; NaN and -1 if it never is."""
        for n, (second, reached) in enumerate(zip(self.seconds, self.costs, strict=True)):
            if reached <= cost:
                return second, n
        return float("nan"), -1


def chunk(problem: JoshProblem) -> Chunk:
    """The problem of the keyframes, as `reconstruct_josh` poses it."""
    _, seen = josh_problem(problem)
    config = JoshConfig()
    began = time.process_time()
    (found,) = keyframe_problems(seen, config)
    return Chunk(found, config.keys, time.process_time() - began)


def by_lm(chunk: Chunk, config: LMConfig) -> Trace:
    """Levenberg-Marquardt on terms that stay as they are."""
    variables, values, terms = build(chunk.problem, chunk.problem.first, chunk.keys)
    seconds, costs = [0.0], [float(sum(term.cost(values) for term in terms))]
    began = time.process_time()

    def watch(iteration: int, cost: float) -> None:
        del iteration
        seconds.append(time.process_time() - began)
        costs.append(cost)

    solve(variables, values, terms, config, watch)
    return Trace(seconds, costs)


def by_adam(chunk: Chunk, config: AdamConfig) -> Trace:
    """The paper's solver on the same terms."""
    variables, values, terms = build(chunk.problem, chunk.problem.first, chunk.keys)
    began = time.process_time()
    found = solve_adam(variables, values, terms, config)
    return Trace([0.0, time.process_time() - began], [found.initial_cost, found.cost])


def whole(chunk: Chunk) -> tuple[float, int]:
    """CPU seconds and rounds of the whole joint optimisation, contacts searched again in every round."""
    rounds = []
    began = time.process_time()
    solve_keyframes(chunk.problem, chunk.problem.first, chunk.keys, rounds.append)
    return time.process_time() - began, len(rounds)


def row(name: str, figure: str, goal: str) -> str:
    return f"| {name} | {figure} | {goal} |"


def against_adam(one: Chunk, iterations: int, every: list[AdamConfig]) -> list[str]:
    """Rows: Adam's objective and time at each rate, and when Levenberg-Marquardt has reached it."""
    ours = by_lm(one, LMConfig(iterations, 1e-5, 1e-7))
    best = " ".join(f"{c:.0f} ({s:.2f} s)" for s, c in zip(ours.seconds[:8], ours.costs[:8], strict=True))
    rows = [
        row("objective at the start", f"{ours.costs[0]:.1f}", ""),
        row("`lm`'s own final objective", f"{ours.costs[-1]:.1f} in {ours.seconds[-1]:.2f} s", ""),
        row("`lm` iteration by iteration", best, ""),
    ]
    for adam in every:
        theirs = by_adam(one, adam)
        cost = theirs.costs[-1]
        name = f"`adam`, {adam.iterations} iterations, rate {adam.rate}"
        rows.append(row(name, f"{theirs.seconds[-1]:.1f} s, final objective {cost:.1f}", ""))
        seconds, steps = ours.until(cost)
        if not steps:
            rows.append(row("above its start: nothing to compare", "", ""))
            continue
        rows.append(row("`lm` reaches that objective in", f"{seconds:.2f} s, {steps} iterations", "<= 1.5 s"))
        rows.append(row("ratio", f"{theirs.seconds[-1] / seconds:.0f}", ">= 30"))
    return rows


def per_iteration(chunk: Chunk, iterations: int) -> float:
    """CPU seconds of an accepted step; the best of three solves, since other work disturbs caches."""
    traces = [by_lm(chunk, LMConfig(iterations, 1e-5, 0.0)) for _ in range(3)]
    return min(trace.seconds[-1] / (len(trace.seconds) - 1) for trace in traces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keyframes", type=int, default=21)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--matches", type=int, default=1500)
    parser.add_argument("--cameras", default="unit", choices=("none", "unit", "exact"))
    parser.add_argument("--adam-iterations", type=int, default=1000)
    parser.add_argument("--adam-rates", type=float, nargs="+", default=[0.05, 0.01, 0.002])
    parser.add_argument("--lm-iterations", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    base = JoshProblem(
        seed=given.seed, keyframes=given.keyframes, window=given.window, matches=given.matches, cameras=given.cameras
    )
    chunks = {people: chunk(replace(base, people=people)) for people in (1, 2, 3)}
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, load {os.getloadavg()[0]:.1f}, {base}\n")
    print("| one chunk | CPU time | goal |\n|---|---|---|")
    counts = chunks[1].problem.carried.weight
    print(row("matches, both ways (one person)", f"{int((counts > 0).sum())}", ""))
    every = [AdamConfig(rate=rate, iterations=given.adam_iterations) for rate in given.adam_rates]
    print("\n".join(against_adam(chunks[1], given.lm_iterations, every)))
    one, three = (per_iteration(chunks[people], 6) for people in (1, 3))
    print(row("`lm`, one iteration with one person", f"{one:.3f} s", ""))
    print(row("`lm`, one iteration with three", f"{three:.3f} s, {three / one:.2f} x", "<= 1.3 x"))
    for people, one_chunk in chunks.items():
        seconds, rounds = whole(one_chunk)
        name = f"whole chunk, {people} people, all free, {rounds} rounds (preparation {one_chunk.prepared:.2f} s)"
        print(row(name, f"{seconds:.2f} s", "<= 5 s" if people == 2 else ""))
    assert np.isfinite(one)


if __name__ == "__main__":
    main()
