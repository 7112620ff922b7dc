"""Concurrency after memory has run out, on simulated machines of every size."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.execution.memory_pressure import TRIES_ALONE, MemoryPressure


@dataclass
class Machine:
    """A machine with ``memory`` and ``slots``: trials of known sizes run in order, and a launch ends when they do not fit together."""

    memory: int
    slots: int
    reports_in: bool = True
    launches: list[int] = field(default_factory=list)

    def launch(self, left: list[str], sizes: dict[str, int], at_once: int | None, ended: set[str]) -> list[str] | None:
        """The trials that were running when memory ran out; None where all ended."""
        most = min(self.slots, at_once or self.slots)
        self.launches.append(most)
        queue = left
        while queue:
            running, queue = queue[:most], queue[most:]
            if sum(sizes[name] for name in running) > self.memory:
                return running if self.reports_in else []
            ended.update(running)
        return None

    def run(self, sizes: dict[str, int], asked: int | None) -> tuple[set[str], list[str]]:
        """The trials that ended, and those that were given up, in order."""
        pressure, ended, given_up = MemoryPressure(asked), set[str](), list[str]()
        left = list(sizes)
        while (running := self.launch(left, sizes, pressure.at_once, ended)) is not None:
            hopeless = pressure.ran_out(running, next(name for name in left if name not in ended))
            given_up += [hopeless] if hopeless else []
            left = [name for name in left if name not in ended and name != hopeless]
        return ended, given_up


machines = st.builds(Machine, memory=st.integers(1, 40), slots=st.integers(1, 32), reports_in=st.booleans())
trials = st.lists(st.integers(1, 60), min_size=1, max_size=40).map(lambda sizes: {f"trial {i}": s for i, s in enumerate(sizes)})


@given(machines, trials, st.none() | st.integers(1, 32))
def test_trials_that_fit_alone_end_and_others_are_given_up(machine: Machine, sizes: dict[str, int], asked: int | None) -> None:
    ended, given_up = machine.run(sizes, asked)
    assert ended == set(sizes) - set(given_up)
    assert given_up == [name for name, size in sizes.items() if size > machine.memory]


def test_no_trial_is_given_up_because_of_concurrent_ones() -> None:
    machine = Machine(memory=1, slots=16)
    ended, given_up = machine.run({f"trial {index}": 1 for index in range(20)}, None)
    assert (len(ended), given_up, machine.launches) == (20, [], [16, 8, 4, 2, 1])


def test_a_trial_that_never_fits_delays_others_only_until_it_is_given_up() -> None:
    machine = Machine(memory=4, slots=4)
    _, given_up = machine.run({"giant": 9, **{f"trial {index}": 1 for index in range(8)}}, None)
    assert given_up == ["giant"]
    assert machine.launches == [4, 2, *[1] * TRIES_ALONE, 4]


def test_trials_whose_workers_die_at_the_start_are_tried_one_at_a_time() -> None:
    machine = Machine(memory=1, slots=4, reports_in=False)
    _, given_up = machine.run({"giant": 2, "small": 1, "other": 1}, None)
    assert (given_up, machine.launches) == (["giant"], [4, *[1] * TRIES_ALONE, 4, 1])
