"""Every complete model by name: a new one is a file and a line."""

from collections.abc import Mapping

from fusefront.baselines.contract import Baseline, Parts, Schema
from fusefront.baselines.models.balanced_fusion import BalancedFusion
from fusefront.baselines.models.boosted import Boosted
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.compressed_fusion import CompressedFusion
from fusefront.baselines.models.counts import Counts
from fusefront.baselines.models.early_fusion import EarlyFusion
from fusefront.baselines.models.gated_fusion import GatedFusion
from fusefront.baselines.models.id_only import IdOnly
from fusefront.baselines.models.late_fusion import LateFusion
from fusefront.baselines.models.popularity import Popularity
from fusefront.baselines.models.stacked_fusion import StackedFusion
from fusefront.baselines.models.unimodal import Unimodal
from fusefront.baselines.published.autoint import AutoInt
from fusefront.baselines.published.deepfm import DeepFm
from fusefront.baselines.published.din import Din
from fusefront.baselines.published.dmf import Dmf
from fusefront.baselines.published.em3 import Em3Model
from fusefront.baselines.published.lmf import LmfModel
from fusefront.baselines.published.m3srec import M3SRec
from fusefront.baselines.published.make import Make
from fusefront.baselines.published.marn import MarnModel
from fusefront.baselines.published.momo import Momo
from fusefront.baselines.published.mtfn import MtfnModel
from fusefront.baselines.published.muse import Muse
from fusefront.baselines.published.naml import Naml
from fusefront.baselines.published.one_trans import OneTrans
from fusefront.baselines.published.pamd import PamdModel
from fusefront.baselines.published.qin import Qin
from fusefront.baselines.published.seed_reconstruction import SeedReconstruction
from fusefront.baselines.published.simcen import Simcen
from fusefront.baselines.published.simtier import SimTier
from fusefront.baselines.settings import did_you_mean

BASELINES: dict[str, type[Baseline]] = {
    "popularity": Popularity,
    "counts": Counts,
    "boosted": Boosted,
    "id_only": IdOnly,
    "unimodal": Unimodal,
    "early_fusion": EarlyFusion,
    "late_fusion": LateFusion,
    "gated_fusion": GatedFusion,
    "stacked_fusion": StackedFusion,
    "balanced_fusion": BalancedFusion,
    "compressed_fusion": CompressedFusion,
    "composed": Composed,
    "din": Din,
    "momo": Momo,
    "qin": Qin,
    "seed_reconstruction": SeedReconstruction,
    "deepfm": DeepFm,
    "autoint": AutoInt,
    "dmf": Dmf,
    "simtier": SimTier,
    "make": Make,
    "muse": Muse,
    "one_trans": OneTrans,
    "em3": Em3Model,
    "lmf": LmfModel,
    "mtfn": MtfnModel,
    "naml": Naml,
    "simcen": Simcen,
    "m3srec": M3SRec,
    "pamd": PamdModel,
    "marn": MarnModel,
}


def check_settings(name: str, schema: Schema, settings: Mapping[str, object], parts: Parts) -> None:
    """Raises ValueError, one sentence, for settings that the baseline's `build` would refuse; needs
    no items."""
    if name not in parts.baselines:
        raise ValueError(f"unknown baseline {name!r}{did_you_mean(name, parts.baselines)}")
    kind = parts.baselines[name]
    kind.check(schema, settings, parts)
    if schema.history_kinds and kind.reads_history and not kind.reads_kinds:
        raise ValueError(
            f"{name}: the histories hold events of {schema.history_kinds} kinds and this model "
            "does not tell them apart, which costs more than it gains; take `events` in `encode` "
            "and set `reads_kinds = True`, or prepare histories of positives alone"
        )
