"""Generated damages of every kind of file against every verb that reads it: a sentence, no
traceback."""

import random
import signal

import pytest
from damages import damage, reseal
from place import Place
from verbs import KINDS, WRITERS, Kind

FEW = 10  # of each kind, the same in every run; `slow` draws hundreds
WRITES = 200  # of each kind, against the verbs that write: whole runs and searches are seconds
MANY = {
    "data set specs": 350,
    "study specs": 250,
    "input files": 350,
    "store": 250,
    "records of runs": 350,
    "records of the study": 350,
    "predictions and weights": 250,
    "bundles": 350,
    "own parts": 120,
}


def failures(place: Place, kind: Kind, seed: str, count: int) -> list[str]:
    """The tracebacks of `count` damages of a kind, each with its file, damage and verb."""
    rng = random.Random(seed)
    paths = kind.paths(place.root)
    failed = []
    for _ in range(count):
        path = rng.choice(paths)
        deed = damage(path, rng, paths)
        if kind.sealed and rng.random() < 0.4:
            reseal(path)
            deed += ", sealed again"
        verb = rng.choices(list(kind.verbs), list(kind.verbs.values()))[0]
        ended = place.call(verb)
        if ended.traceback:
            failed.append(f"{path.relative_to(place.root)}, {deed}, {verb}: {ended.traceback}")
        place.restore()
    return failed


def sentence(failed: list[str], count: int) -> str:
    ends = sorted({failure.strip().rpartition("File ")[2] for failure in failed})
    return f"{len(failed)} of {count}: " + "\n".join([*ends, *failed[:1]])


@pytest.mark.parametrize("name", KINDS)
def test_a_few_damages_end_without_a_traceback(name: str, place: Place) -> None:
    failed = failures(place, KINDS[name], f"{name} 0", FEW)
    assert not failed, sentence(failed, FEW)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", KINDS)
def test_many_damages_end_without_a_traceback(name: str, place: Place) -> None:
    failed = failures(place, KINDS[name], f"{name} 1", MANY[name])
    assert not failed, sentence(failed, MANY[name])


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", WRITERS)
def test_verbs_that_write_end_without_a_traceback(name: str, place: Place) -> None:
    failed = failures(place, WRITERS[name], f"{name} 2", WRITES)
    assert not failed, sentence(failed, WRITES)


def test_a_verb_leaves_the_answer_to_a_signal_and_the_folder_as_they_were(place: Place) -> None:
    before = signal.getsignal(signal.SIGTERM)
    (place.root / "study.yaml").unlink()
    (place.root / "own" / "largest.py").write_text("x")
    assert place.call("run").code == 2
    assert signal.getsignal(signal.SIGTERM) is before
    place.restore()
    assert place.call("run").code == 0
    place.restore()
