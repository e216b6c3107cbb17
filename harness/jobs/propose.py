"""A proposed spec and a first study beside it, written where nothing is overwritten unasked."""

from collections.abc import Sequence
from pathlib import Path

from fusefront.datasets.adapters.zoo import find_adapter, spec_yaml
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import load_spec
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import write_text

STUDY = """\
# A first study; `fusefront list strategies` names what else can be compared.
name: {name}
dataset: {spec}
baseline: late_fusion                 # what runs today
strategies:
  early_fusion: {{}}
  late_fusion: {{}}
  gated_fusion: {{}}
  compressed_fusion: {{}}
seeds: [0, 1, 2]
tuning: {{trials: 2}}
slo_ms: 10
margin: 0.005
"""


def write_proposal(
    paths: Sequence[Path], spec: Path, *, layout: str | None = None, force: bool = False
) -> Path:
    """Write the spec and `study.yaml` beside it; the study's path.

    The spec is guessed from the files, or is that of the published `layout` they have.
    """
    study = spec.with_name("study.yaml")
    for path in (spec, study):
        if path.exists() and not force:
            raise UsageError(f"{path} exists; give another --spec, or --force to overwrite it")
    write_text(spec, propose(paths) if layout is None else _published(layout, paths))
    name = load_spec(spec).name  # what we propose must be readable
    write_text(study, STUDY.format(name=name, spec=spec.name))
    return study


def _published(layout: str, paths: Sequence[Path]) -> str:
    if len(paths) != 1 or not paths[0].is_dir():
        raise UsageError("--layout takes one folder, the one that holds the published files")
    adapter = find_adapter(layout)
    head = f"# The published layout {layout!r}; see docs/datasets.md.\n"
    return head + spec_yaml(adapter(paths[0]))
