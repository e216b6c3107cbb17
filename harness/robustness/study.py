"""`fusefront robustness`: disturb each modality, the items and the users at serving time, score
test again, compare in pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.integrate import trapezoid

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.dossier.record_types import Ends, HiddenCurve
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import parts_of_runs
from fusefront.harness.robustness.chosen import Tell, chosen_strategies, runs_with_weights
from fusefront.harness.robustness.condition import COLD_KINDS, KINDS, OTHER, Hidden
from fusefront.harness.robustness.hide import scores
from fusefront.harness.robustness.vector_file import Vectors, second_vectors
from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.seal import open_test
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import Floats, auc_influence, tie_groups
from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.joint import JointModel, Pair
from fusefront.harness.statistics.leverage import auc_sums, effective_clusters
from fusefront.harness.statistics.measures.metrics import DF_BOUNDS, Layout
from fusefront.harness.training.build import load_model

FILE = "robustness.json"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class HidingOptions:
    """What is disturbed, and for which strategies; () = the decision's choice (else the best on
    validation) and today's."""

    strategies: tuple[str, ...] = ()
    shares: tuple[float, ...] = SHARES
    include: tuple[Path, ...] = ()
    kinds: tuple[str, ...] = ("items",)  # of KINDS, or OTHER
    vectors: Mapping[str, Path] = field(default_factory=dict)  # modality -> its second vector file

    def check(self) -> None:
        """Raises UsageError for a share out of range, an unknown kind or one without its files."""
        known = (*KINDS, OTHER)
        if unknown := [kind for kind in self.kinds if kind not in known]:
            raise UsageError(f"got kind {unknown[0]!r}, expected of {', '.join(known)}")
        if OTHER in self.kinds and not self.vectors:
            raise UsageError("kind 'other' needs a second vector file: --vectors MODALITY=FILE")
        if bad := [share for share in self.shares if not 0 <= share <= 1]:
            raise UsageError(f"got share {bad[0]:g}, expected shares of the items from 0 to 1")

    def measured(self, modalities: tuple[str, ...]) -> list[tuple[str, str]]:
        """Kind and modality of each curve of a strategy; second vector files come last."""
        kinds = [kind for kind in self.kinds if kind != OTHER] + [OTHER] * bool(self.vectors)
        places = {
            **dict.fromkeys(COLD_KINDS, ("",)),
            OTHER: tuple(name for name in modalities if name in self.vectors),
        }
        return [
            (kind, name) for kind in dict.fromkeys(kinds) for name in places.get(kind, modalities)
        ]


def measure(study: StudyFolder, options: HidingOptions, tell: Tell) -> list[HiddenCurve]:
    """Write robustness.json; returns its curves, one for each kind, strategy and modality.

    Every AUC is compared with that of today's strategy with nothing disturbed (`gain`), and with
    today's under the same disturbance (`lead`). Opening test is recorded.
    """
    options.check()
    store = PreparedDataset.open(study.store_path)
    modalities = tuple(store.manifest.schema_.modalities)
    names = chosen_strategies(study, options.strategies)
    runs = {name: runs_with_weights(study, name, tell) for name in names}
    shares = tuple(sorted({0.0, *options.shares}))
    places = options.measured(modalities)
    conditions = tuple(Hidden(m, share, kind) for kind, m in places for share in shares)
    files = {name: second_vectors(store, name, path) for name, path in options.vectors.items()}
    open_test(study.path, "robustness")
    hidden = _collect(study, store, runs, conditions, files, options.include, tell)
    curves = [
        hidden.curve(name, modality, shares, kind)
        for measured_kind in dict.fromkeys(kind for kind, _ in places)
        for name in runs
        for kind, modality in places
        if kind == measured_kind
    ]
    reference = study.spec.baseline
    ids = {name: [entry.run_id for entry in entries] for name, entries in runs.items()}
    record = {"format": 1, "reference": reference, "runs": ids, "curves": curves}
    write_json(study.path / FILE, record)
    return curves


@dataclass(frozen=True)
class HiddenScores:
    """The AUC of every strategy and condition, and its change within the same trained models."""

    reference: str
    joint: JointModel
    changes: JointModel  # changes from the undisturbed scores, seed by seed

    def curve(
        self, name: str, modality: str, shares: Sequence[float], kind: str = "items"
    ) -> HiddenCurve:
        """One curve of robustness.json."""
        hidden = [Hidden(modality, share, kind) for share in shares]
        return {
            "strategy": name,
            "modality": modality,
            "kind": kind,
            "area": self._area(name, hidden),
            "shares": list(shares),
            "gain": [self._gain(name, condition) for condition in hidden],
            "lead": [self._lead(name, condition) for condition in hidden],
        }

    def _area(self, name: str, hidden: Sequence[Hidden]) -> Ends:
        """The mean change of AUC from the undisturbed scores over the range of shares, by
        trapezoids."""
        shares = np.array([condition.share for condition in hidden])
        if len(shares) < 2:
            return {"value": 0.0, "low": 0.0, "high": 0.0}
        weights = np.zeros((1, len(self.changes.names)))
        places = [self.changes.index(key(name, condition)) for condition in hidden]
        weights[0, places] = trapezoid(np.eye(len(shares)), shares) / shares[-1]  # from 0
        known = replace(self.changes, s2=np.nan_to_num(self.changes.s2))  # of one seed rows alone
        area = contrasts(known, weights)
        value, low, high = (float(ends.item()) for ends in (area.value, area.low, area.high))
        still = float(area.se.item()) == 0  # no score moved
        return ends_of(value, value, value) if still else ends_of(value, low, high)

    def _gain(self, name: str, hidden: Hidden) -> Ends:
        if name == self.reference:  # the same trained models: no noise from seeds
            return alone_ends(self.changes, key(name, hidden))
        return _pair(self.joint, key(name, hidden), key(self.reference, NOTHING))

    def _lead(self, name: str, hidden: Hidden) -> Ends:
        if name == self.reference:
            return {"value": 0.0, "low": 0.0, "high": 0.0}
        return _pair(self.joint, key(name, hidden), key(self.reference, hidden))


NOTHING = Hidden("", 0.0)


def key(name: str, hidden: Hidden) -> str:
    """The name in the joint model; "nothing hidden" is one condition for all modalities."""
    if hidden.share == 0:
        return name
    how = "" if hidden.kind == "items" else f" | {hidden.kind}"
    return f"{name} | {hidden.modality} | {hidden.share:g}{how}"


def _collect(
    study: StudyFolder,
    store: PreparedDataset,
    runs: dict[str, list[RunEntry]],
    conditions: tuple[Hidden, ...],
    files: Mapping[str, Vectors],
    include: tuple[Path, ...],
    tell: Tell,
) -> HiddenScores:
    source = StudySource(study)
    layout = Layout(source.rows("test"), source.cluster)
    label, axis = layout.rows.label, layout.axis
    parts = parts_of_runs((entry.path for entries in runs.values() for entry in entries), include)
    names = tuple(dict.fromkeys(key(name, h) for name in runs for h in (NOTHING, *conditions)))
    effective = effective_clusters(axis, "classes")
    joint, changes = (
        Accumulator.empty(names, axis.size, axis.mc, effective=effective, df_bound=DF_BOUNDS["auc"])
        for _ in range(2)
    )
    hidden = (NOTHING, *(h for h in conditions if h.share > 0))
    for name, entries in runs.items():
        for entry in entries:
            tell(f"{name}, seed {entry.seed}: {len(hidden)} conditions")
            model = load_model(entry.path, store, parts)
            whole: tuple[float, Floats] | None = None
            for condition, logits in scores(model, store, hidden, files):
                influence = auc_influence(tie_groups(logits, label))
                summed = auc_sums(axis, influence, logits, label)
                whole = whole or (influence.value, summed)
                joint.add(key(name, condition), influence.value, summed)
                changes.add(key(name, condition), influence.value - whole[0], summed - whole[1])
    return HiddenScores(study.spec.baseline, joint.joint(), changes.joint())


def _pair(model: JointModel, a: str, b: str) -> Ends:
    pair: Pair = model.pair(model.index(a), model.index(b))
    return ends_of(pair.difference, pair.low, pair.high)


def alone_ends(model: JointModel, name: str) -> Ends:
    """A value of the model with its 95 % interval over rows and seeds."""
    value, se, df = model.alone(model.index(name))
    half = float(stats.t.ppf(0.975, df)) * se
    return ends_of(value, value - half, value + half)


def ends_of(value: float, low: float, high: float) -> Ends:
    """The ends for JSON; None for an end that is not known."""
    return {
        "value": value,
        "low": low if np.isfinite(low) else None,
        "high": high if np.isfinite(high) else None,
    }
