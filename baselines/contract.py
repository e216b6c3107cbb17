"""The types that data, models and serving exchange. Masks and presence are bool, True = real.

Axes: R requests, L history, K candidates, M modalities, U distinct items of a batch.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from fusefront.baselines.packed import Packed, at
from fusefront.baselines.roles import roles_by_name
from fusefront.baselines.settings import resolve


class Field(NamedTuple):
    """A categorical field: ids 0 (absent, unknown) to size - 1, in `columns` adjacent columns."""

    name: str
    size: int
    columns: int = 1


class Schema(NamedTuple):
    """What a model needs to know of a data set before it is built."""

    items: int  # without the padding row
    modalities: Mapping[str, int]  # name -> width, in the order of `ItemTable.present`
    item_fields: tuple[Field, ...]
    item_numbers: int
    request_fields: tuple[Field, ...]
    request_numbers: int
    candidate_fields: tuple[Field, ...]
    candidate_numbers: int
    max_history: int  # 0 = no history
    history_kinds: int = 0  # number of kinds of events in histories; 0 = not told apart


class ItemTable(NamedTuple):
    """The tables of the items; row 0 is padding, so every first axis is items + 1."""

    vectors: Mapping[str, Tensor]  # modality -> [n, D_m] float32, zero where absent
    present: Tensor  # [n, M] bool
    fields: Tensor  # [n, C] int64: the columns of `Schema.item_fields`, one after the other
    numbers: Tensor  # [n, N] float32
    in_train: Tensor  # [n] bool: occurs in train, as a candidate or in a history
    impressions: Tensor  # [n] int64, train split only
    clicks: Tensor  # [n] int64, train split only
    mapped: Mapping[str, Tensor] = {}  # of some modalities the vectors as they are stored, float16
    # or float32: pages of a file that all processes share; never to be written to

    def stored(self, modality: str) -> Tensor:
        """[n, D_m] float16 or float32, for a table that a model keeps: the vectors as they are
        stored, or a copy in float32 where they are not mapped."""
        return self.mapped[modality] if modality in self.mapped else self.vectors[modality].clone()


class Rows(NamedTuple):
    """One flat row for each item or event; the model knows how the row is divided."""

    values: Tensor  # [..., C]
    present: Tensor  # [..., T] bool


class ItemCodes(NamedTuple):
    """The codes that the offline half computes for items, in their two roles."""

    history: Rows  # [n, Ch]: a pooler's keys and values, already projected; [n * (kinds + 1), Ch],
    # item by item, where events are told apart
    candidate: Rows  # [n, Cc]: the fused vector and the queries


class Context(NamedTuple):
    """Fields that belong to a request or to a candidate, not to an item."""

    ids: Tensor  # [..., C] int64
    numbers: Tensor  # [..., N] float32


class Events(NamedTuple):
    """Distinct events of a batch's histories: an item together with what the user did with it."""

    item: Tensor  # [P] index into the batch's items; item[0] == 0 is padding
    kind: Tensor  # [P] int64, 0 = none
    place: Tensor  # [R, L] index into these events


class RequestBatch(NamedTuple):
    """A batch from the data module; it holds ids only."""

    items: Tensor  # [U] distinct item ids of the batch; items[0] == 0 is padding
    history: Tensor  # [R, L] index into items; left-padded, newest last
    history_mask: Tensor  # [R, L]
    candidates: Tensor  # [R, K] index into items
    candidate_mask: Tensor  # [R, K]
    rows: Tensor  # [N] flat index of the real candidates in R * K
    request_context: Context  # [R, .]
    candidate_context: Context  # [R, K, .]
    labels: Tensor  # [R, K] float32, 0 where masked
    row_ids: Tensor  # [R, K] int64, -1 where masked
    groups: Tensor  # [R] int64 user key
    events: Events | None = None  # if the data tell kinds of events apart
    entries: Tensor | None = None  # [E] flat index of the real entries in R * L, row by row
    pairs: int | None = None  # how many there are of real candidates with entries; counted where
    # the batch is made, for on a GPU counting waits


Batches = Callable[[], Iterator[RequestBatch]]  # a split's batches, from the first each time


class Request(NamedTuple):
    """The input of the online half and of the exported graph.

    A `packed` request (training and evaluation of a model that `packs`) has only the N real
    candidates as rows, each a request with one candidate: R = N, K = 1. Then `history` holds the
    codes themselves [n, Ch], `packed` says where to look them up, and `history_mask` is unchanged.
    """

    history: Rows  # [R, L, Ch]
    history_mask: Tensor  # [R, L]
    candidates: Rows  # [R, K, Cc]
    request_context: Context  # [R, .]
    candidate_context: Context  # [R, K, .]
    packed: Packed | None = None


class Scored(NamedTuple):
    """The result of scoring a batch of R requests with K candidates."""

    logits: Tensor  # [R, K]
    loss: Tensor  # []; auxiliary loss of the head, zero unless training


class Losses(NamedTuple):
    """A batch's losses, each a number; their sum is what training minimises."""

    click: Tensor  # [] mean binary cross entropy over the real candidates
    auxiliary: Tensor  # [] weighted sum of every other loss
    logits: Tensor  # [R, K]


class Parts(NamedTuple):
    """The parts that a study may name, shipped and plug-in: name -> class."""

    operators: Mapping[str, type[nn.Module]]
    compressors: Mapping[str, type[nn.Module]]
    alignments: Mapping[str, type[nn.Module]]
    poolers: "Mapping[str, type[Pooler]]"
    heads: "Mapping[str, type[Head]]"
    baselines: "Mapping[str, type[Baseline]]"


class Pooler(nn.Module):
    """Pools a history for a target into one vector; the projections of both belong to the offline
    half."""

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}
    keeps_width: ClassVar[bool] = True  # width_out == width: placement `interaction` needs it

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @property
    def width_out(self) -> int:
        """Width of the pooled vector."""
        raise NotImplementedError

    def prepare_history(self, x: Tensor) -> Tensor:
        """Item vectors [..., D] to what the pooler stores for a history item [..., H]."""
        raise NotImplementedError

    def prepare_target(self, x: Tensor) -> Tensor:
        """Item vectors [..., D] to what the pooler stores for a candidate [..., Q]."""
        raise NotImplementedError

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        """Pool: [R, K, Q], [R, L, H] or [R, K, L, H], mask [R, L] -> [R, K, width_out].

        This method is exported and timed. A pooler may also have a method without padding, which
        training and evaluation use: `pool_rows(target [N, Q], history [n, H], packed: Packed) ->
        [N, width_out]`.
        """
        raise NotImplementedError


class Head(nn.Module):
    """Turns the features of rows into logits; `paper` and `choices` as in `Pooler`."""

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, width] to logits [N]."""
        raise NotImplementedError


class Baseline(nn.Module):
    """A complete click model in two halves: `encode_items` runs offline, `score` online.

    A subclass defines `Settings`, `__init__`, `encode` and `score`; everything else has defaults.
    """

    name: ClassVar[str]
    family: str = "own"  # early | late | compressed | published | control; others share a look
    paper: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}  # dotted setting -> values to search
    Settings: ClassVar[type]  # a frozen dataclass; the instance has it as `settings`
    reads_history: ClassVar[bool] = True  # False: histories have no effect on scores
    reads_kinds: ClassVar[bool] = False  # True: `encode` takes `events` and tells their kinds apart
    recipe: ClassVar[Mapping[str, object]] = {}  # how it was trained where published, as `training`
    recipe_source: ClassVar[str] = ""
    packs: ClassVar[bool] = False  # True: `score` takes a request that is `packed`
    wide: ClassVar[bool] = False  # True: its networks over pairs are so wide that bf16 is faster
    solved: ClassVar[bool] = False  # True: `solve` finds the weights, without a recipe
    settings: Any

    def __init__(self, schema: Schema, items: ItemTable, settings: Any, parts: Parts) -> None:
        super().__init__()
        self.settings = settings
        self.history_kinds = schema.history_kinds if self.reads_kinds else 0

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> Any:
        """The settings as an instance of `Settings`; raises ValueError, which says in a sentence
        what is wrong."""
        return resolve(cls.Settings, settings, cls.name)

    @classmethod
    def build(
        cls,
        schema: Schema,
        items: ItemTable,
        settings: Mapping[str, object],
        parts: Parts,
        seed: int,
    ) -> Self:
        """Fit the frozen parts and draw the weights, both with `seed`."""
        resolved = cls.check(schema, settings, parts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(schema, items, resolved, parts)

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        """Item ids [U] to (codes of both roles, auxiliary loss []); keep [M] or [U, M] bool selects
        modalities.

        With `events` (indices into `ids`; only if `reads_kinds`) the rows of the history role are
        those of the events.
        """
        raise NotImplementedError

    def encode_items(self, ids: Tensor, keep: Tensor | None = None) -> ItemCodes:
        """The offline half: codes of item ids [n] for the table, without losses, with all kinds of
        events of each item; keep [M] or [n, M] as in `encode`."""
        if not self.history_kinds:
            return self.encode(ids, keep)[0]
        return self.encode(ids, keep, every_event(ids, self.history_kinds))[0]

    def encode_batch(
        self, batch: RequestBatch, keep: Tensor | None = None
    ) -> tuple[ItemCodes, Tensor]:
        """Codes of a batch's U distinct items, of its distinct events if kinds are told apart, and
        the loss []. keep [M] or [U, M] as in `encode`."""
        events = batch.events
        if events is None:
            return self.encode(batch.items, keep)
        if self.reads_kinds:
            return self.encode(batch.items, keep, events)
        codes, loss = self.encode(batch.items, keep)
        return codes._replace(history=rows_at(codes.history, events.item)), loss

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        """The online half: request to logits [R, K]; rows [N] are the flat places of real
        candidates in R * K."""
        raise NotImplementedError

    def parameter_roles(self) -> dict[str, list[nn.Parameter]]:
        """Every parameter once, under id_embedding | field_embedding | fusion | dense.

        By default the names of the modules decide: see `roles.BY_NAME`.
        """
        return roles_by_name(self)

    def cacheable(self) -> str:
        """How much of the fusion the table of item codes holds: "yes", or "part" or "no" with a
        reason."""
        return "yes"

    def report(self) -> dict[str, float]:
        """Measures of the fitted parts to record (explained variance, perplexity, ...)."""
        return {}

    def solve(self, train: Batches, valid: Batches) -> None:
        """Find the weights without gradient steps, if the class declares `solved`."""
        raise NotImplementedError

    def first_stage(self, train: Batches) -> None:
        """Training by the model's own steps, before the recipe's steps begin; by default none."""

    def losses(self, batch: RequestBatch, keep: Tensor | None = None) -> Losses:
        """One training step: encode the U distinct items once, score, compare with the labels. keep
        [M] or [U, M] as in `encode`."""
        codes, encode_loss = self.encode_batch(batch, keep)
        real, loss = self.score_rows(codes, batch)
        real = real.to(batch.labels.dtype)  # losses have full precision, whatever the products have
        labels = batch.labels.flatten()[batch.rows]
        click = nn.functional.binary_cross_entropy_with_logits(real, labels)
        logits = real.new_zeros(batch.labels.numel()).index_put((batch.rows,), real)
        return Losses(click, encode_loss + loss, logits.view(batch.labels.shape))

    def score_rows(
        self, codes: ItemCodes, batch: RequestBatch, items: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits [N] of a batch's real candidates and the loss []; codes and items [U] as in
        `gather`. A model that packs computes no padding."""
        if defined_with(type(self), "packs", "score") and self.packs:
            scored = self.score(pack(codes, batch, items))
            return scored.logits.flatten(), scored.loss
        scored = self.score(gather(codes, batch, items), batch.rows)
        return scored.logits.flatten()[batch.rows], scored.loss


def gather(codes: ItemCodes, batch: RequestBatch, items: Tensor | None = None) -> Request:
    """Look the batch's items up in the codes of its distinct items, or, with items [U] =
    batch.items, in a whole table."""
    history, candidates = _places(codes, batch, items)
    return Request(
        rows_at(codes.history, history),
        batch.history_mask,
        rows_at(codes.candidate, candidates),
        batch.request_context,
        batch.candidate_context,
    )


def pack(codes: ItemCodes, batch: RequestBatch, items: Tensor | None = None) -> Request:
    """The batch's real candidates, each as a request of its own; codes and items [U] as in
    `gather`."""
    history, candidates = _places(codes, batch, items)
    width = candidates.shape[1]
    packed = Packed(history, batch.history_mask, batch.rows, width, batch.entries, batch.pairs)

    def rows(x: Tensor) -> Tensor:
        return at(x.flatten(0, 1), batch.rows)

    return Request(
        codes.history,
        batch.history_mask,
        rows_at(codes.candidate, rows(candidates).unsqueeze(1)),
        Context(*(at(part, packed.request) for part in batch.request_context)),
        Context(*(rows(part).unsqueeze(1) for part in batch.candidate_context)),
        packed,
    )


def _places(codes: ItemCodes, batch: RequestBatch, items: Tensor | None) -> tuple[Tensor, Tensor]:
    """The places of the histories [R, L] and candidates [R, K] in the codes, see `gather`."""
    history = batch.history if batch.events is None else batch.events.place
    if items is None:
        return history, batch.candidates
    kinds = None if batch.events is None else batch.events.kind[batch.events.place]
    return history_rows(codes, items[batch.history], kinds), items[batch.candidates]


def defined_with(kind: type, second: str, first: str) -> bool:
    """Whether a class inherits `second` from the class that gives it `first`, or from a nearer one:
    a parent's `second` does not fit a child's own `first`."""
    homes = [
        next((n for n, base in enumerate(kind.__mro__) if name in vars(base)), len(kind.__mro__))
        for name in (second, first)
    ]
    return homes[0] <= homes[1] and homes[0] < len(kind.__mro__)


def pool(pooler: Pooler, target: Tensor, request: Request) -> Tensor:
    """Pool the history of each candidate's request: targets [R, K, Q] to [R, K, width_out]; packed:
    [N, 1, Q] to [N, 1, width_out]."""
    if request.packed is None:
        pooled: Tensor = pooler(target, request.history.values, request.history_mask)
        return pooled
    return pool_packed(pooler, target.squeeze(1), request.history.values, request.packed).unsqueeze(
        1
    )


def pool_packed(pooler: Pooler, target: Tensor, history: Tensor, packed: Packed) -> Tensor:
    """Targets [N, Q] and codes [n, H] to [N, width_out], without padding if the pooler can."""
    if defined_with(type(pooler), "pool_rows", "forward"):
        return pooler.pool_rows(target, history, packed)  # type: ignore[operator,no-any-return]
    grid = pooler(packed.grid(target), at(history, packed.place), packed.mask)  # [R, K, W]
    return at(grid.flatten(0, 1), packed.rows)


def rows_at(table: Rows, place: Tensor) -> Rows:
    """The rows of a table [n, .] at `place` [...], values and presence: [..., .]."""
    return Rows(*(at(part, place) for part in table))


def history_rows(codes: ItemCodes, items: Tensor, kinds: Tensor | None) -> Tensor:
    """Rows of a whole table's history role: of item ids [R, L] and, if it has them, kinds
    [R, L]."""
    times = kinds_in(codes)
    if times == 1:
        return items
    return items * times if kinds is None else items * times + kinds


def kinds_in(codes: ItemCodes) -> int:
    """The rows of an item in the history role of a whole table: 1, or the number of kinds plus one
    for none."""
    return len(codes.history.values) // len(codes.candidate.values)


def every_event(ids: Tensor, kinds: int) -> Events:
    """Each of the items [U] with every kind and with none, item by item; these events are in no
    history."""
    item = torch.arange(len(ids), device=ids.device).repeat_interleave(kinds + 1)
    kind = torch.arange(kinds + 1, device=ids.device).repeat(len(ids))
    return Events(item, kind, item.new_zeros((0, 0)))


def no_loss(like: Tensor) -> Tensor:
    """A zero [] on the device and of the type of `like`."""
    return torch.zeros((), dtype=like.dtype, device=like.device)
