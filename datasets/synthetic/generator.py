"""Requests of a synthetic world, in chunks that may be made in any order, with exact p."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fusefront.datasets.synthetic.draws import SPLITS, Bytes, Draws, draw
from fusefront.datasets.synthetic.latents import Floats, Ints, stream
from fusefront.datasets.synthetic.truth import WorldSource, true_logit
from fusefront.datasets.synthetic.visits import Visits, chain, follow, last_states

CHUNK = 4_096
USERS_PER_SPLIT = 10**10  # user number = split * this + position of the user's first request

Longs = npt.NDArray[np.int64]
Labels = npt.NDArray[np.uint8]


class Chunk(NamedTuple):
    """R requests with K candidates each; item rows count from 1, 0 = padding."""

    first: int  # position of the first request in its split
    user: Longs  # [R]
    history: Ints  # [R, L] left-padded, newest last
    group: Bytes  # [R] request context g
    candidates: Ints  # [R, K]
    variant: Bytes  # [R, K] candidate context v
    p: Floats  # [R, K]
    label: Labels  # [R, K]


def make_chunk(
    source: WorldSource,
    split: str,
    number: int,
    *,
    size: int = CHUNK,
    returning: float = 0.0,
    train: int = 0,
) -> Chunk:
    """Chunk `number` of a split: always the same, whichever chunks were made before.

    A share `returning` of the requests comes from users seen before, with the history they then had
    plus what they clicked; in validation and test also from users of the same chunk of the
    training split, which has `train` requests. p depends only on what the row shows: exact.
    """
    code = SPLITS.index(split)
    draws = draw(source.latents, source.seed, code, number, size)
    first = number * size
    user = code * USERS_PER_SPLIT + np.arange(first, first + size, dtype=np.int64)
    if not returning:
        p, label = _clicks(source, draws)
        return _chunk(first, user, draws, p, label)
    random = stream(source.seed, 5, code, number, size)
    visits = chain(random, size, returning)
    user = user[visits.root]
    left = train - first
    if split != "train" and left > 0:
        before = make_chunk(source, "train", number, size=size, returning=returning)
        draws, user = _known_users(
            random, code, draws, visits, user, _head(before, left), returning
        )
    return _visit_by_visit(source, first, user, draws, visits)


def make_chunks(
    source: WorldSource,
    split: str,
    requests: int,
    *,
    size: int = CHUNK,
    returning: float = 0.0,
    train: int = 0,
) -> Iterator[Chunk]:
    """The first `requests` requests of a split, chunk by chunk."""
    for number in range(-(-requests // size)):
        chunk = make_chunk(source, split, number, size=size, returning=returning, train=train)
        yield _head(chunk, requests - chunk.first)


def _clicks(source: WorldSource, draws: Draws) -> tuple[Floats, Labels]:
    eta = true_logit(source, draws.history, draws.group, draws.candidates, draws.variant)
    p: Floats = 1 / (1 + np.exp(-eta))
    return p, (draws.uniform < p).astype(np.uint8)


def _visit_by_visit(
    source: WorldSource, first: int, user: Longs, draws: Draws, visits: Visits
) -> Chunk:
    """Labels of each round of visits; the clicks lengthen the next round's histories."""
    p = np.empty(draws.uniform.shape)
    label = np.empty(draws.uniform.shape, np.uint8)
    history = draws.history.copy()
    for now in visits.rounds:
        before = visits.previous[now]
        if before[0] >= 0:
            history[now] = follow(history[before], draws.candidates[before], label[before])
        shown = Draws(
            history[now],
            draws.group[now],
            draws.candidates[now],
            draws.variant[now],
            draws.uniform[now],
        )
        p[now], label[now] = _clicks(source, shown)
    return _chunk(first, user, draws._replace(history=history), p, label)


def _known_users(
    random: np.random.Generator,
    code: int,
    draws: Draws,
    visits: Visits,
    user: Longs,
    before: Chunk,
    share: float,
) -> tuple[Draws, Longs]:
    """Give a share of this chunk's first visits to users of the training chunk `before`.

    Every other user comes back in validation, the others in test: nobody is in both.
    """
    known, state = last_states(before.user, before.history, before.candidates, before.label)
    mine = random.permutation(np.flatnonzero(known % 2 == code % 2))
    opening = visits.rounds[0]
    opening = opening[random.random(len(opening)) < share][: len(mine)]
    mine = mine[: len(opening)]
    history, owner = draws.history.copy(), user.copy()
    history[opening] = state[mine]
    owner[opening] = known[mine]
    return draws._replace(history=history), owner[visits.root]


def _chunk(first: int, user: Longs, draws: Draws, p: Floats, label: Labels) -> Chunk:
    return Chunk(first, user, draws.history, draws.group, draws.candidates, draws.variant, p, label)


def _head(chunk: Chunk, keep: int) -> Chunk:
    if keep >= len(chunk.user):
        return chunk
    return Chunk(
        chunk.first,
        chunk.user[:keep],
        chunk.history[:keep],
        chunk.group[:keep],
        chunk.candidates[:keep],
        chunk.variant[:keep],
        chunk.p[:keep],
        chunk.label[:keep],
    )
