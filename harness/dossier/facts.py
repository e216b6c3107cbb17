"""Facts of a study for the report: data, runs, training curves, audit, environment, provenance."""

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from fusefront.datasets.errors import DataContractError
from fusefront.harness.dossier.record_types import (
    AuditRecord,
    SchemaFacts,
    StoreFacts,
    optional_record,
    store_facts,
)
from fusefront.harness.runs.cure import cure
from fusefront.harness.runs.hashes import METRICS, damage
from fusefront.harness.runs.records import (
    ORIGIN,
    Claim,
    EnvironmentRecord,
    Git,
    Record,
    Trial,
    read_record,
)
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.serving.latency.bench_record import Bench, BenchFacts
from fusefront.reports.evidence import AuditFinding, RunOrigin, StudyFacts, TrainingCurve

State = Literal["ok", "note", "warning", "error", "not run"]
JUDGED_FROM = 8  # fewest trials, so that the last quarter of a search has two
_STATES: dict[str, State] = {"severe": "error", "warning": "warning", "note": "note"}


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash(path: Path) -> str:
    return sha256(path) if path.exists() else ""


def origins(study: StudyFolder, entries: Iterable[RunEntry]) -> tuple[RunOrigin, ...]:
    """All runs of the study, also failed ones, with the hash of the file that was read, if any."""
    return tuple(
        RunOrigin(
            entry.run_id,
            entry.strategy,
            entry.seed,
            entry.role,
            entry.state,
            "" if entry.damage else _hash(entry.path / "summary.json"),
            "" if entry.damage else _hash(entry.path / "predictions" / "test.parquet"),
            _relative(entry.path, study.root),
        )
        for entry in entries
    )


def _validation(path: Path) -> tuple[float, ...]:
    """valid_auc of every line of a run's metrics.jsonl."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        return tuple(float(v) for line in lines if (v := line.get("valid_auc")) is not None)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).split("\n")[0]
        raise DataContractError(f"{path}: not a run's metrics ({reason}); {cure(path)}") from None


def training_curves(entries: Iterable[RunEntry]) -> tuple[TrainingCurve, ...]:
    """Validation AUC per epoch of each completed run.

    Raises:
        DataContractError: the epochs of a run are damaged.
    """
    curves = []
    for entry in entries:
        path = entry.path / "metrics.jsonl"
        if not path.exists():
            continue
        if sentence := damage(entry.path, METRICS, entry.summary):
            raise DataContractError(sentence)
        values = _validation(path)
        if values:
            settled = len(values) > 1 and max(values) > values[-1] - 1e-9 >= max(values[:-1]) - 1e-4
            curves.append(
                TrainingCurve(
                    entry.strategy, "epochs", values, settled or None, entry.seed, entry.run_id
                )
            )
    return tuple(curves)


def searches(study: StudyFolder) -> tuple[TrainingCurve, ...]:
    """Best validation AUC so far along the trials of each search, and the seconds spent by then."""
    trials: dict[str, list[Trial]] = defaultdict(list)
    for path, trial in readable_trials(study):
        trials[path.parent.name].append(trial)
    curves = []
    for strategy, records in trials.items():
        finite, spent = _best_so_far(sorted(records, key=lambda record: record["number"]))
        if len(finite) > 1:
            last = finite[-max(1, len(finite) // 4) - 1]
            settled = finite[-1] - last < 1e-4 if len(finite) >= JUDGED_FROM else None
            curves.append(TrainingCurve(strategy, "trials", finite, settled, seconds=spent))
    return tuple(curves)


def _best_so_far(records: list[Trial]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The best value after each trial from the first completed one on, and all seconds spent until
    then."""
    best, spent = [], []
    high, seconds = float("-inf"), 0.0
    for record in records:
        value = record["value"] if record["state"] == "ok" else None
        high = high if value is None else max(high, value)
        seconds += record.get("seconds", 0.0)
        if high > float("-inf"):
            best.append(high)
            spent.append(seconds)
    known = all("seconds" in record for record in records)
    return tuple(best), tuple(spent) if known else ()


def finished_trials(study: StudyFolder) -> dict[str, int]:
    """The number of completed trials of each search, counted from the readable records."""
    counts: dict[str, int] = defaultdict(int)
    for path, trial in readable_trials(study):
        counts[path.parent.name] += trial["state"] == "ok"
    return dict(counts)


def readable_trials(study: StudyFolder) -> Iterator[tuple[Path, Trial]]:
    """The trials of all searches with readable records, and their files."""
    for path in _trials(study):
        with contextlib.suppress(DataContractError):
            yield path, read_record(path, Trial)


def damaged_trials(study: StudyFolder) -> dict[Path, str]:
    """A sentence for each trial and each claim that cannot be read."""
    damaged = {}
    kinds: list[tuple[Path, type[Record]]] = [(path, Trial) for path in _trials(study)]
    kinds += [(path, Claim) for path in sorted((study.path / "tuning").glob("*/claim-*.json"))]
    for path, kind in kinds:
        try:
            read_record(path, kind)
        except DataContractError as error:
            damaged[path] = str(error)
    return damaged


def _trials(study: StudyFolder) -> list[Path]:
    return sorted((study.path / "tuning").glob("*/trial-*.json"))


def audit_findings(study: StudyFolder) -> tuple[AuditFinding, ...]:
    """audit.json in the form of the report: findings, worst first, then the checks without
    findings."""
    record = optional_record(study.path / "audit.json", AuditRecord) or AuditRecord()
    findings = [
        AuditFinding(
            finding["name"],
            _STATES.get(finding["severity"], "note"),
            finding.get("text") or finding.get("title", ""),
            finding.get("accepted", False),
            dict(finding.get("numbers", {})),
        )
        for finding in record.get("findings", [])
    ]
    passed = [AuditFinding(name, "ok") for name in record.get("passed", [])]
    not_run = [AuditFinding(name, "not run") for name in record.get("not_run", [])]
    return (*findings, *passed, *not_run)


def environment(entries: list[RunEntry], bench: Bench | None) -> dict[str, str]:
    """Versions and hardware; if runs differ, all values are shown."""
    versions: dict[str, dict[str, None]] = defaultdict(dict)
    for path in {entry.path for entry in entries[:1] + entries[-1:]}:
        record = optional_record(path / "environment.json", EnvironmentRecord)
        if record is None:
            continue
        general = {
            "python": record.get("python"),
            "platform": record.get("platform"),
            "processor": record.get("processor"),
            "cores": record.get("cores"),
            "threads": record.get("threads"),
            "code": record.get("code"),
        }
        for key, value in {**general, **record.get("packages", {})}.items():
            if value not in (None, ""):
                versions[key][str(value)] = None
        git = record.get("git") or Git()
        if git.get("sha"):
            text = f"{git['sha'][:12]}{', with local changes' if git.get('dirty') else ''}"
            versions["sources"][text] = None
    joined = {key: " | ".join(sorted(values)) for key, values in versions.items()}
    if bench and bench.get("fingerprint"):
        joined["bench fingerprint"] = bench["fingerprint"]
    return joined


def hashes(study: StudyFolder, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those files `names` under the study's folder that exist."""
    return {name: sha256(study.path / name) for name in names if (study.path / name).exists()}


def search_hashes(study: StudyFolder) -> dict[str, str]:
    """SHA-256 of the trials of each search, taken in the order of their names."""
    digests: dict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    for path in _trials(study):
        with contextlib.suppress(IsADirectoryError):
            digests[f"tuning/{path.parent.name}"].update(path.read_bytes())
    return {name: digest.hexdigest() for name, digest in digests.items()}


def study_facts(
    study: StudyFolder,
    entries: list[RunEntry],
    bench: Bench | None,
    *,
    date: str,
    second_look: int,
    trials: int | None,
    notes: tuple[str, ...],
) -> StudyFacts:
    """The facts in the head of the page."""
    manifest = store_facts(study.store_path)
    counts = manifest.get("counts", {})
    rows = {split: count["rows"] for split, count in counts.items()}
    schema = manifest.get("schema", SchemaFacts())
    spec, latency = study.spec, bench["facts"] if bench else BenchFacts()
    bayes = (manifest.get("bayes_auc") or {}).get("test")
    return StudyFacts(
        name=study.name,
        dataset=study.matrix()["dataset"],
        rows_test=rows.get("test", 0),
        rows_train=rows.get("train"),
        rows_all=sum(rows.values()) or None,
        users=counts["test"]["groups"] if "test" in counts else None,
        items=schema.get("items"),
        modalities=dict(schema.get("modalities", {})),
        seeds=len({entry.seed for entry in entries}),
        runs=len(entries),
        failed_runs=sum(entry.state == "failed" for entry in entries),
        trials=trials,
        date=date,
        fingerprint=study.matrix()["fingerprint"],
        study_hash=sha256(study.path / "study.yaml")[:12],
        hardware=latency.get("hardware") or latency.get("in_words", ""),
        runtime=latency.get("runtime", ""),
        candidates=spec.latency.decide_at,
        history=schema.get("max_history") or None,
        lag=_lag(manifest),
        latency_session=latency.get("session_text", ""),
        price_core_hour=spec.money.price_per_core_hour,
        utilisation=latency.get("load"),
        bayes_auc=bayes,
        again=(study.path / ORIGIN).is_file(),
        store=study.place,
        second_look=second_look,
        synthetic=not isinstance(spec.dataset, str),
        notes=notes,
    )


def _lag(store: StoreFacts) -> str:
    """How late past events become known: the lags of counters, and of histories from the log.

    >>> _lag({"counters": {"entries": [{"lag": None}, {"lag": "1h"}]}})
    '0, 1h'
    """
    counters, history = store.get("counters") or {}, store.get("history") or {}
    lags = [entry.get("lag") or "0" for entry in counters.get("entries", [])]
    if history.get("past") == "earlier":
        lags.append(history.get("lag") or "0")
    return ", ".join(dict.fromkeys(lags))


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
