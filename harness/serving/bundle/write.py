"""`fusefront export`: writes a run's serving bundle to a temporary folder and renames it when
complete."""

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline, ItemCodes, Schema
from fusefront.datasets.durable import replacing_folder
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.parts.included import included
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.files import Json, write_json, write_text
from fusefront.harness.runs.hashes import read_scores, read_summary
from fusefront.harness.runs.records import RunSummary
from fusefront.harness.serving.bundle import opened
from fusefront.harness.serving.bundle.card import ServedQuality, card_markdown, make_card
from fusefront.harness.serving.bundle.counters import ITEM_FIELDS, counts_fields_of_items
from fusefront.harness.serving.bundle.golden import write_golden_rows
from fusefront.harness.serving.bundle.trained import write_model
from fusefront.harness.serving.export.online import (
    eager_logits,
    export_core,
    feed_shape,
    random_feeds,
    write_scorer,
)
from fusefront.harness.serving.export.parity import (
    SIZES,
    Parity,
    check_exact,
    check_reduced,
    score_split,
)
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.scorer import Scorer, probability
from fusefront.harness.serving.export.search_of import search_of
from fusefront.harness.serving.export.searched import FILE as SEARCH
from fusefront.harness.serving.export.searched import SearchedScorer
from fusefront.harness.serving.export.tables import ROW_FORMATS, RowFormat, kinds_stored
from fusefront.harness.training.build import load_model
from fusefront.harness.training.module import encode_table

RECORDED_ROWS = 4096  # rows of validation that are compared with the record
RECORDED_TOLERANCE = 1e-5  # of a probability


class Loaded(NamedTuple):
    """A trained run and the data that it was trained on."""

    run: Path
    summary: RunSummary
    store: PreparedDataset
    schema: Schema
    model: Baseline
    codes: ItemCodes
    include: tuple[Path, ...] = ()  # files of parts that were given, not those on record


def load_run(run: Path, root: Path, include: Sequence[Path] = ()) -> Loaded:
    """Model and codes of a completed run; its prepared store must be under `root`.

    Raises:
        UsageError: the folder holds no completed run with a model.
    """
    if not (run / "summary.json").exists() or not (run / "model" / "weights.safetensors").exists():
        raise UsageError(f"{run}: no completed run with a model there; train it first")
    summary = read_summary(run)
    path = root / "prepared" / summary["dataset"] / summary["fingerprint"]
    store = PreparedDataset.open(path)
    schema = schema_of(store)
    model = load_model(run, store, load_parts(included(run, include)))
    codes = encode_table(model, schema.items)
    return Loaded(run, summary, store, schema, model, codes, tuple(include))


def export_run(
    loaded: Loaded, target: Path, *, rows: RowFormat = "float16", licence: str = "not stated"
) -> Path:
    """Write the bundle of a run to `target`.

    Raises:
        GateError: the bundle does not score as the run recorded.
        UsageError: `target` exists and is no bundle, or `rows` is not a known format.
    """
    if rows not in ROW_FORMATS:
        raise UsageError(f"got rows {rows!r}, expected one of {', '.join(ROW_FORMATS)}")
    if target.exists() and not (target / opened.MANIFEST).exists():
        raise UsageError(f"{target}: exists and is no bundle; choose another folder with --to")
    with replacing_folder(target) as written:
        _fill(loaded, written, rows, licence)
    return target


def _fill(loaded: Loaded, folder: Path, rows: RowFormat, licence: str) -> None:
    core = export_core(loaded.model, loaded.codes, loaded.schema)
    scorer = Scorer(write_scorer(core, loaded.codes, folder / "scorer.onnx", rows=rows))
    parity = _gate(loaded, scorer, rows)
    search = search_of(loaded.model, loaded.codes)
    if search is not None:
        search.write(folder / SEARCH)
    golden(loaded, scorer, folder / "golden.npz")
    shutil.copyfile(loaded.run / "model" / "weights.safetensors", folder / "weights.safetensors")
    shutil.copyfile(loaded.store.path / "items" / "keys.parquet", folder / "items.parquet")
    for source in sorted((loaded.store.path / "vocabularies").glob("*.parquet")):
        target = folder / "vocabularies" / source.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
    write_json(folder / "dataset.json", dataset_facts(loaded.store))
    write_model(folder, loaded.run, loaded.schema, loaded.codes, loaded.include)
    if counts_fields_of_items(loaded.store.manifest.counters):
        shutil.copyfile(loaded.store.path / "items" / "fields.npy", folder / ITEM_FIELDS)
    if loaded.store.manifest.raw is not None:  # missing if an earlier version prepared the store
        write_golden_rows(
            folder,
            loaded.store,
            loaded.run,
            feed_shape(loaded.schema),
            SearchedScorer(scorer, search).logits,
            exact=rows == "float32",
        )
    tables = sum(path.stat().st_size for path in folder.glob("*.bin"))
    serving: ServedQuality = {
        "rows": rows,
        "bytes_per_item": tables / (loaded.schema.items + 1),
        "max_difference": parity.max_difference,
        "auc_change": parity.auc_change,
        "inputs": list(scorer.inputs),
        "exporter": core.tracer,
    }
    if "history_kinds" in scorer.inputs:
        serving["kinds"] = kinds_stored(folder)
    card = make_card(loaded.run, loaded.summary, loaded.store, serving, licence)
    write_json(folder / "card.json", card)
    write_text(folder / "card.md", card_markdown(card))
    shutil.copyfile(Path(opened.__file__), folder / "check.py")
    _seal(loaded, folder, serving)


def _gate(loaded: Loaded, scorer: Scorer, rows: RowFormat) -> Parity:
    model, codes, schema = loaded.model, loaded.codes, loaded.schema
    if rows == "float32":
        parity = check_exact(scorer.logits, model, codes, schema)
    else:
        parity = check_reduced(scorer.logits, model, codes, schema, loaded.store)
    if (apart := apart_from_record(loaded)) > RECORDED_TOLERANCE:
        raise GateError(
            f"run {loaded.summary['run_id']}: its weights do not score its validation rows "
            f"as recorded (a probability differs by {apart:.1e}, at most "
            f"{RECORDED_TOLERANCE:.0e}); weights or predictions are not those of the training: "
            "train the run again"
        )
    if not parity.passed:
        raise GateError(
            f"{loaded.summary['strategy']} with {rows} rows: {parity.reason}; export with --rows "
            "float32"
        )
    return parity


def apart_from_record(loaded: Loaded) -> float:
    """The largest difference of a probability between the model now and the run's record.

    Compared on the first rows of validation, which every completed run has recorded.
    """

    def logits(feed: Feed) -> NDArray[np.float32]:
        return eager_logits(loaded.model, loaded.codes, feed)

    now = score_split(logits, loaded.store, "valid", RECORDED_ROWS)
    path = loaded.run / "predictions" / "valid.parquet"
    then = read_scores(path, ["logit"])["logit"].to_numpy()[: len(now)]
    if len(then) != len(now):
        return float("inf")
    return float(np.abs(probability(now) - probability(then)).max(initial=0.0))


def golden(loaded: Loaded, scorer: Scorer, path: Path) -> None:
    """Write requests of all sizes with their logits, as served and as trained."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, feed in enumerate(random_feeds(loaded.schema, SIZES, seed=2)):
        arrays |= {f"{number}.{name}": value for name, value in feed.items()}
        arrays[f"{number}.logits"] = scorer.logits(feed)
        arrays[f"{number}.eager"] = eager_logits(loaded.model, loaded.codes, feed)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def dataset_facts(store: PreparedDataset) -> dict[str, Json]:
    """What serving needs to know of the data: fields, how raw values are read, scalings,
    histories."""
    manifest = store.manifest.model_dump(mode="json", by_alias=True)
    keys = (
        "name",
        "fingerprint",
        "schema",
        "numbers",
        "slices",
        "cluster",
        "split_by",
        "kinds",
        "raw",
        "counters",
    )
    return {"format": 1, **{key: manifest[key] for key in keys if key in manifest}}


def _seal(loaded: Loaded, folder: Path, serving: ServedQuality) -> None:
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": opened.sha256(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = {
        "format": 1,
        "kind": opened.KIND,
        "program": version("fusefront"),
        "strategy": loaded.summary["strategy"],
        "run_id": loaded.summary["run_id"],
        "shape": feed_shape(loaded.schema)._asdict(),
        "serving": serving,
        "files": files,
    }
    write_json(folder / opened.MANIFEST, manifest)
