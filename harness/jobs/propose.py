"""Writes a proposed spec and a first study beside it; existing files are replaced only on
request."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.adapters.zoo import propose_layout, spec_yaml, verify
from fusefront.datasets.allowed import NOTHING, Allowed
from fusefront.datasets.propose import draft
from fusefront.datasets.spec import load_spec
from fusefront.datasets.synthetic.write import write_world
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


class Proposed(NamedTuple):
    """The study's path; what happened when the spec was tried; place -> why its value could not be
    guessed."""

    study: Path
    trial: str = ""
    unknown: Mapping[str, str] = {}  # a person must write these
    left_out: Mapping[str, str] = {}  # these are comments


def write_proposal(
    paths: Sequence[Path],
    spec: Path,
    *,
    layout: str | None = None,
    verified: bool = False,
    force: bool = False,
    allowed: Allowed = NOTHING,
) -> Proposed:
    """Write the spec and `study.yaml` beside it.

    The spec is guessed from the files and tried on a sample of them; if the files are in the
    published `layout`, its spec is used. `verified` first compares the files' SHA-256 sums with the
    published ones.

    Raises:
        UsageError: `verified` was given without a layout.
    """
    if verified and layout is None:
        raise UsageError("--verify compares with a published layout; name it with --layout")
    _refuse_existing(spec, force=force)
    if layout is not None:
        write_text(spec, _published(layout, paths, allowed, verified=verified))
        return Proposed(_write_study(spec, load_spec(spec).name))
    proposal = draft(paths, allowed)
    write_text(spec, proposal.text())
    unknown = proposal.unknown()
    if not unknown:
        load_spec(spec)  # what we propose must be readable
    study = _write_study(spec, proposal.name)
    return Proposed(study, proposal.trial, unknown, proposal.left_out())


def write_synthetic(world: str, folder: Path, *, seed: int, train: int, force: bool) -> Path:
    """Write a world's files, its spec and `study.yaml` into `folder`; the study's path."""
    _refuse_existing(folder / "dataset.yaml", force=force)
    valid = max(1, train // 4)
    spec = write_world(world, folder, seed=seed, train=train, valid=valid, test=train)
    return _write_study(spec, load_spec(spec).name)


def _refuse_existing(spec: Path, *, force: bool) -> None:
    for path in (spec, spec.with_name("study.yaml")):
        if path.exists() and not force:
            raise UsageError(
                f"{path} exists; give another path (--spec, or --out of a world), or --force to "
                "overwrite it"
            )


def _write_study(spec: Path, name: str) -> Path:
    study = spec.with_name("study.yaml")
    write_text(study, STUDY.format(name=name, spec=spec.name))
    return study


def _published(layout: str, paths: Sequence[Path], allowed: Allowed, *, verified: bool) -> str:
    if len(paths) != 1 or not paths[0].is_dir():
        raise UsageError("--layout takes one folder, the one that holds the published files")
    if verified:
        verify(layout, paths[0], allowed)
    head = f"# The published layout {layout!r}; see docs/datasets.md.\n"
    return head + spec_yaml(propose_layout(layout, paths[0], allowed))
