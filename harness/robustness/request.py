"""What each group of inputs adds to one row's logit: modalities, history, numbers, fields, ids.

The contribution is the Shapley value over all subsets of the groups, for one trained model. A group
that is left out gets the values that the model knows as absent: vectors and ids that were never
seen, an empty history, numbers at their mean, fields at their unknown value.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline, ItemCodes, Schema
from fusefront.harness.robustness.cold import id_tables, unknown_ids
from fusefront.harness.serving.export.online import eager_logits
from fusefront.harness.serving.export.request import HISTORIES, Feed
from fusefront.harness.statistics.shapley import coalitions

HISTORY, NUMBERS, FIELDS, IDS = "history", "counters and numbers", "context fields", "ids"
MOST_GROUPS = 10  # most groups of which all subsets are scored
Floats = NDArray[np.float64]


class Contributions(NamedTuple):
    """The contributions for N rows; `base` [N] is the logit with every group absent."""

    groups: tuple[str, ...]
    base: Floats  # [N]
    shares: Floats  # [N, G]; with the base they sum to the logit
    logit: Floats  # [N]


def groups_of(model: Baseline, schema: Schema, feed: Feed) -> tuple[str, ...]:
    """The groups that the data have and the model can read."""
    context = {kind for name in feed for kind in ("ids", "numbers") if name.endswith(f"_{kind}")}
    groups = list(schema.modalities)
    if feed["history"].shape[1] and model.reads_history:
        groups.append(HISTORY)
    if "numbers" in context:
        groups.append(NUMBERS)
    if "ids" in context:
        groups.append(FIELDS)
    return (*groups, IDS) if id_tables(model) else tuple(groups)


def contributions(model: Baseline, schema: Schema, feed: Feed) -> Contributions:
    """The contribution of each group to the logit of each request's first candidate."""
    model = model.eval()
    groups = groups_of(model, schema, feed)
    subsets = coalitions(len(groups), most_exact=MOST_GROUPS)
    items, compact = _compact(feed)
    values = np.empty((len(subsets.members), len(feed["candidates"])))
    codes: dict[tuple[bool, ...], ItemCodes] = {}
    of_items = [at for at, name in enumerate(groups) if name in (*schema.modalities, IDS)]
    for at, members in enumerate(subsets.members):
        key = tuple(members[of_items].tolist())
        present = {groups[at] for at in np.flatnonzero(members)}
        if key not in codes:
            codes[key] = _codes(model, schema, items, present)
        values[at] = eager_logits(model, codes[key], _masked(compact, present))[:, 0]
    return Contributions(groups, values[0], values.T @ subsets.weights, values[-1])


def _compact(feed: Feed) -> tuple[torch.Tensor, Feed]:
    """The items [U] that occur in the feed, padding first, and the feed with indices into them."""
    names = ("history", "candidates")
    items = np.unique(np.concatenate([[0], *(feed[name].ravel() for name in names)]))
    places = {name: np.searchsorted(items, feed[name]) for name in names}
    return torch.from_numpy(items.astype(np.int64)), {**feed, **places}


def _codes(model: Baseline, schema: Schema, items: torch.Tensor, present: set[str]) -> ItemCodes:
    keep = torch.tensor([name in present for name in schema.modalities], dtype=torch.bool)
    unknown = torch.full((schema.items + 1,), IDS not in present)
    with torch.inference_mode(), unknown_ids(model, unknown):
        return model.encode_items(items, keep.expand(len(items), -1))


def _masked(feed: Feed, present: set[str]) -> Feed:
    masked = dict(feed)
    if HISTORY not in present:
        masked |= {name: np.zeros_like(feed[name]) for name in HISTORIES if name in feed}
    for group, kind in ((NUMBERS, "_numbers"), (FIELDS, "_ids")):
        if group not in present:
            names = [name for name in feed if name.endswith(kind)]
            masked |= {name: np.zeros_like(feed[name]) for name in names}
    return masked
