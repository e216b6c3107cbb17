"""The model card of a bundle: data, metrics with intervals, slices, limits, licence."""

from pathlib import Path
from typing import NotRequired

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.runs.hashes import read_predictions
from fusefront.harness.runs.records import RunSummary, starting_with
from fusefront.harness.runs.study import MoneySpec
from fusefront.harness.statistics.gaps import GroupGap, group_gaps
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes
from fusefront.harness.statistics.trained_auc import auc_ends, trained_auc


class Auc(TypedDict):
    """AUC with its 95 % interval over clusters; None = not defined on these rows."""

    value: float | None
    low: NotRequired[float]
    high: NotRequired[float]
    rows: int
    clusters: NotRequired[int]


class SliceAuc(TypedDict):
    """AUC on part of the rows."""

    slice: str
    value: str
    auc: Auc


class CardGap(TypedDict):
    """A measure of one group of a sensitive slice minus that of another; the ends hold for all gaps
    of the card at once."""

    slice: str
    measure: str  # auc | pcoc | exposure
    group: str
    other: str
    value: float
    low: float | None  # None = there is no interval
    high: float | None
    shown: bool  # the interval leaves zero out


class CardData(TypedDict):
    """The data that the model was trained on."""

    name: str
    fingerprint: str
    counts: dict[str, dict[str, int]]
    items: int
    modalities: dict[str, int]


class ServedQuality(TypedDict):
    """How the bundle scores, compared with the trained model."""

    rows: str
    bytes_per_item: float
    max_difference: float  # of a probability
    auc_change: float | None
    inputs: list[str]
    exporter: str
    kinds: NotRequired[str]  # how the codes of a history's events are stored, where told apart


class Card(TypedDict):
    """card.json of a bundle."""

    format: int
    strategy: str
    baseline: str | None
    family: str | None
    run_id: str
    seed: int | None
    licence: str
    data: CardData
    metrics: dict[str, Auc]
    slices: list[SliceAuc]
    gaps: list[CardGap]  # [] where no slice is marked as sensitive
    serving: ServedQuality
    parameters: dict[str, int]
    counters: dict[str, str]  # number -> how it is computed
    limits: list[str]


LEAST_CLASS = 20  # rows of each label that a slice needs to get an AUC
TOP_K = MoneySpec().top_k  # places of a request that are an item's exposure
MEASURES = {
    "auc": "AUC",
    "pcoc": "predicted over clicked",
    "exposure": f"share among the first {TOP_K}",
}


def auc_with_interval(
    logit: NDArray[np.float32], label: NDArray[np.uint8], cluster: NDArray[np.int64]
) -> Auc:
    """AUC with its 95 % interval over clusters; logit, label, cluster [rows]. One run: seeds are
    not covered.

    As in a comparison, a cluster with many rows gets its weight, and with too few clusters there is
    no interval.
    """
    value, low, high, clusters = auc_ends(trained_auc(logit, label, cluster))
    if not np.isfinite(value):
        return {"value": None, "rows": len(label)}
    if not np.isfinite(low):
        return {"value": value, "rows": len(label), "clusters": clusters}
    return {"value": value, "low": low, "high": high, "rows": len(label), "clusters": clusters}


def make_card(
    run: Path,
    summary: RunSummary,
    store: PreparedDataset,
    bundle: ServedQuality,
    licence: str,
) -> Card:
    """The content of the card."""
    split = "test" if (run / "predictions" / "test.parquet").exists() else "valid"
    frame = read_predictions(run, split)
    manifest, rows = store.manifest, store.split(split)
    column = "group" if manifest.cluster == "user" else "request"
    logit, label, cluster = (frame[name].to_numpy() for name in ("logit", "label", column))
    slices: list[SliceAuc] = []
    for name, codes in rows.slices.items():
        for code, value in enumerate(manifest.slices[name].values):
            chosen = np.asarray(codes) == code
            positives = int(label[chosen].sum())
            if min(positives, int(chosen.sum()) - positives) >= LEAST_CLASS:
                auc = auc_with_interval(logit[chosen], label[chosen], cluster[chosen])
                slices.append({"slice": name, "value": value, "auc": auc})
    table = RowTable(*(frame[column].to_numpy() for column in RowTable._fields))
    sensitive = tuple(
        SliceCodes(name, tuple(manifest.slices[name].values), np.asarray(codes), sensitive=True)
        for name, codes in rows.slices.items()
        if manifest.slices[name].sensitive
    )
    counts = {k: v.model_dump() for k, v in manifest.counts.items()}
    return {
        "format": 1,
        "strategy": summary["strategy"],
        "baseline": summary.get("baseline"),
        "family": summary.get("family"),
        "run_id": summary["run_id"],
        "seed": summary.get("seed"),
        "licence": licence,
        "data": {
            "name": manifest.name,
            "fingerprint": manifest.fingerprint,
            "counts": counts,
            "items": manifest.schema_.items,
            "modalities": dict(manifest.schema_.modalities),
        },
        "metrics": {f"{split}_auc": auc_with_interval(logit, label, cluster)},
        "slices": slices,
        "gaps": sensitive_gaps(table, logit, sensitive, manifest.cluster),
        "serving": bundle,
        "parameters": {
            f"parameters_{role}": int(count)
            for role, count in starting_with(summary, "parameters_").items()
        },
        "counters": dict(manifest.counters.numbers) if manifest.counters else {},
        "limits": limits(store),
    }


def sensitive_gaps(
    rows: RowTable, logit: NDArray[np.float32], slices: tuple[SliceCodes, ...], cluster: str
) -> list[CardGap]:
    """Gaps between the groups of sensitive slices, of one run's logits [rows]: seeds are not in
    their intervals."""
    if not slices:
        return []
    source = MemorySource(rows, {"run": {0: logit}}, declared=slices)
    return [_gap(gap) for gap in group_gaps(source, Layout(rows, cluster), ("run",), TOP_K)]


def _gap(gap: GroupGap) -> CardGap:
    low, high = (float(end) if np.isfinite(end) else None for end in (gap.low, gap.high))
    return {
        "slice": gap.slice,
        "measure": gap.measure,
        "group": gap.group,
        "other": gap.other,
        "value": gap.value,
        "low": low,
        "high": high,
        "shown": gap.shown,
    }


def limits(store: PreparedDataset) -> list[str]:
    """Sentences on what the model was not shown to do."""
    schema = store.manifest.schema_
    sentences = [
        "Scores one data set's items and users; nothing is known of others.",
        "The interval is over the rows of one split and one seed; it covers no later month.",
        "Items added after the export have no code: they score as unknown until it is made again.",
    ]
    if schema.max_history:
        sentences.append(f"Only the newest {schema.max_history} items of a history are read.")
    cold = [name for name, count in store.manifest.present.items() if count < schema.items]
    if cold:
        sentences.append(f"Some items lack {', '.join(cold)}; they are scored by what they have.")
    return sentences


def card_markdown(card: Card) -> str:
    """The card as text for people."""
    data, (name, metric) = card["data"], next(iter(card["metrics"].items()))
    lines = [
        f"# {card['strategy']} on {data['name']}",
        "",
        f"Run `{card['run_id']}`, seed {card['seed']}, baseline `{card['baseline']}`"
        f" ({card['family']}). Licence: {card['licence']}.",
        "",
        "## Data",
        f"{data['name']} (fingerprint `{data['fingerprint']}`), {data['items']:,} items,"
        f" modalities {', '.join(f'{k} ({v})' for k, v in data['modalities'].items()) or 'none'};"
        f" {data['counts']['train']['rows']:,} training rows.",
        "",
        "## Quality",
        "| what | rows | AUC | 95 % interval |",
        "|---|---|---|---|",
        _line(name.removesuffix("_auc"), metric),
        *(_line(f"{s['slice']} = {s['value']}", s["auc"]) for s in card["slices"]),
        "",
        *_groups(card["gaps"]),
        "## Serving",
        f"Rows in {card['serving']['rows']}, {card['serving']['bytes_per_item']:.0f} bytes an item;"
        f" largest difference of a probability from training"
        f" {card['serving']['max_difference']:.1e}; AUC change"
        f" {_change(card['serving']['auc_change'])}.",
        *(f"Events of histories: {kinds}." for kinds in [card["serving"].get("kinds")] if kinds),
        "",
        *_counters(card["counters"]),
        "## Limits",
        *(f"- {limit}" for limit in card["limits"]),
        "",
    ]
    return "\n".join(lines)


def _groups(gaps: list[CardGap]) -> list[str]:
    """Gaps between the groups of sensitive slices; nothing where no slice is marked so."""
    if not gaps:
        return []
    head = (
        "Gaps between the groups of sensitive slices, of this run; the intervals hold for all of "
        "them at once, and a gap is shown where its interval leaves zero out."
    )
    lines = []
    for gap in gaps:
        low, high = gap["low"], gap["high"]
        ends = "" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"
        word = "no interval" if not ends else "shown" if gap["shown"] else "not shown"
        pair = f"{gap['slice']}: {gap['group']} − {gap['other']}"
        lines.append(
            f"| {pair} | {MEASURES[gap['measure']]} | {gap['value']:+.4f} | {ends} | {word} |"
        )
    table = ["| groups | measure | gap | 95 % interval | verdict |", "|---|---|---|---|---|"]
    return ["## Groups", head, "", *table, *lines, ""]


def _counters(numbers: dict[str, str]) -> list[str]:
    """How a client computes the counters, before they are standardised."""
    if not numbers:
        return []
    head = "Raw values that a request brings, or `predict --counters` looks up:"
    lines = [
        f"- `{name.partition('.')[2]}` ({name.partition('.')[0]}): {how}"
        for name, how in numbers.items()
    ]
    return ["## Counters", head, *lines, ""]


def _change(value: float | None) -> str:
    return "none (exact)" if value is None else f"{value:+.1e} on 20,000 rows"


def _line(name: str, metric: Auc) -> str:
    value = "not defined" if metric["value"] is None else f"{metric['value']:.4f}"
    if "low" not in metric or "high" not in metric:
        return f"| {name} | {metric['rows']:,} | {value} | |"
    return (
        f"| {name} | {metric['rows']:,} | {value} | {metric['low']:.4f} to {metric['high']:.4f} |"
    )
