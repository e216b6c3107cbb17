"""The sentence on recorded runs of a study that were trained by code that has changed since."""

from fusefront.baselines.contract import Parts
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import schema_of
from fusefront.harness.parts.identity import Code, changed_sources, code_of
from fusefront.harness.runs.records import NewerFormatError, RunCode, read_record
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.testing.shapes import built_of
from fusefront.harness.training.build import read_spec
from fusefront.harness.training.run import CODE_FILE

MOST_NAMES = 6


def reidentified(folder: StudyFolder, store: PreparedDataset, parts: Parts) -> str:
    """A sentence with the number of complete runs that other code has trained; "" without any."""
    if not (folder.path / "matrix.json").exists():
        return ""
    old, unlisted = 0, False
    modules: set[str] = set()
    try:
        completed = folder.completed()
    except NewerFormatError:
        raise
    except DataContractError:  # the matrix, which the study writes anew
        return ""
    for entry in completed:
        try:
            spec = read_spec(entry.path)
        except DataContractError:
            continue  # `verify` reports it, and so does each command that needs this run
        code = _code_now(spec, store, parts)
        if code is None or code.version == spec.code:
            continue
        old += 1
        try:
            sources = read_record(entry.path / CODE_FILE, RunCode)["sources"]
            modules |= set(changed_sources(sources, code.sources))
        except DataContractError:
            unlisted = True
    if not old:
        return ""
    names = [module.removeprefix("fusefront.") for module in sorted(modules)]
    shown = ", ".join(names[:MOST_NAMES])
    shown += f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    reasons = [f"changed since: {shown}"] if names else []
    reasons += ["of some runs the code is not on record"] if unlisted else []
    return (
        f"{old} recorded runs of this study were trained by other code ({'; '.join(reasons)}); "
        "they stay readable, and what this study needs is trained again"
    )


def _code_now(spec: RunSpec, store: PreparedDataset, parts: Parts) -> Code | None:
    """The current code that the recorded settings depend on; None if the current code cannot build
    them."""
    kind = parts.baselines.get(spec.baseline)
    if kind is None:
        return None
    try:
        return code_of(built_of(kind, parts, spec.settings, schema_of(store)))
    except ValueError:  # a part or a setting of then is not known now
        return None
