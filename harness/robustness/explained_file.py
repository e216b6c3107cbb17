"""`fusefront predict --explain`: contributions to the logit of every row of a file, by a
bundle's trained model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fusefront.baselines.contract import Baseline, Schema
from fusefront.datasets.durable import replacing
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Loss, Tally
from fusefront.datasets.raw.reading import columns_of, stream
from fusefront.datasets.row_encoder import NumberSource
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.included import included
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness.request import contributions
from fusefront.harness.runs.hashes import WEIGHTS, read_summary
from fusefront.harness.runs.table import find_run
from fusefront.harness.serving.bundle.opened import read_manifest, sha256
from fusefront.harness.serving.bundle.predict import ROWS, feed_of, open_encoder
from fusefront.harness.serving.bundle.trained import open_model
from fusefront.harness.serving.export.request import FeedShape
from fusefront.harness.training.build import load_model


def model_of(
    bundle: Path, run_id: str, shape: FeedShape, out: Path, include: Sequence[Path]
) -> tuple[Baseline, Schema]:
    """The trained model of a verified bundle: from the bundle alone, or where that cannot be, from
    its run under `out`.

    Raises:
        UsageError: it cannot be built from the bundle, and the run does not lie under `out`.
        DataContractError: the run's weights are not those of the bundle.
    """
    rebuilt, schema = open_model(bundle, shape, include)
    if rebuilt["model"] is not None:
        return rebuilt["model"], schema
    folder = find_run(out, run_id)
    if folder is None:
        raise UsageError(
            f"{bundle}: its model cannot be built from the bundle alone ({rebuilt['reason']}), and "
            f"its run {run_id} is not under {out}; give the run's folder with --out"
        )
    if sha256(folder / WEIGHTS) != sha256(bundle / "weights.safetensors"):
        raise DataContractError(
            f"{folder / WEIGHTS}: not the weights of {bundle}; export the run again"
        )
    summary = read_summary(folder)
    store = PreparedDataset.open(out / "prepared" / summary["dataset"] / summary["fingerprint"])
    parts = load_parts(included(folder, tuple(include)))
    return load_model(folder, store, parts), schema_of(store)


class ExplainedFile(TypedDict):
    """What `predict --explain` prints at its end."""

    rows: int
    contributions: str  # the file
    mean_size: dict[str, float]  # group -> mean absolute contribution to the logit, largest first
    losses: dict[str, Loss]


def explain_file(
    bundle: Path,
    source: Path,
    target: Path,
    out: Path,
    include: Sequence[Path] = (),
    counting: NumberSource | None = None,
) -> ExplainedFile:
    """Write for each row of `source` its logit, the logit with all groups absent, and each group's
    contribution.

    Contributions are those of the trained run in float32; the bundle itself may round more.

    Raises:
        UsageError: the model cannot be had from the bundle, nor from its run under `out`.
        DataContractError: the run's weights are not those of the bundle, or a row cannot be read.
    """
    manifest = read_manifest(bundle)
    shape = FeedShape.from_json(manifest["shape"])
    model, schema = model_of(bundle, manifest["run_id"], shape, out, include)
    encoder = open_encoder(bundle)
    encoder.tally, encoder.counting = Tally(), counting
    columns = encoder.columns(list(columns_of(source)), source)
    count, writer = 0, None
    sizes: dict[str, float] = {}
    with replacing(target) as written:
        try:
            for frame in stream(source, columns.all, ROWS):
                feed = feed_of(encoder.encode(frame, columns, source, count), shape)
                part = contributions(model, schema, feed)
                shares = {group: part.shares[:, at] for at, group in enumerate(part.groups)}
                table = {
                    "row": np.arange(count, count + frame.height),
                    "logit": part.logit,
                    "base": part.base,
                    **shares,
                }
                for group, share in shares.items():
                    sizes[group] = sizes.get(group, 0.0) + float(np.abs(share).sum())
                written_rows = pa.table({k: np.ascontiguousarray(v) for k, v in table.items()})
                writer = writer or pq.ParquetWriter(written, written_rows.schema)
                writer.write_table(written_rows)
                count += frame.height
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise DataContractError(f"{source}: has no row to explain")
    ranked = sorted(sizes.items(), key=lambda pair: -pair[1])
    means = {group: total / count for group, total in ranked}
    losses = encoder.tally.losses()
    return {"rows": count, "contributions": str(target), "mean_size": means, "losses": losses}
