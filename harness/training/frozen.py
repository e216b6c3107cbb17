"""Frozen compressions on disk: fitted by the first training that needs one, mapped by all others.

Two trainings share one if nothing that its numbers depend on differs: the data, the modalities and
what was done to them, the compressor and its keywords, the code of the fit, the number of threads,
PyTorch's version, and the seed where the fit uses one. A file that is damaged is made again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fusefront.baselines.frozen import Fit, FitVectors, Frozen
from fusefront.datasets.durable import replacing
from fusefront.datasets.locks import Wait, lock_file, locked
from fusefront.harness.parts.identity import code_of_fit
from fusefront.harness.runs.files import digest
from fusefront.harness.runs.spec import RunSpec

FOLDER = "frozen"
TABLE = "table"
STATE = "state."


class FrozenTables:
    """The compressions in an output folder; called by `freeze`, see `baselines.frozen.kept_by`."""

    def __init__(self, root: Path, spec: RunSpec) -> None:
        self.root, self.spec = root, spec

    def __call__(
        self, compressor: nn.Module, source: FitVectors, seed: int | None, fit: Fit
    ) -> Frozen:
        """The compression, mapped from its file, which is written first if there is none."""
        key = self.key(compressor, source, seed)
        spec = self.spec
        path = self.root / FOLDER / spec.dataset / spec.fingerprint / f"{key}.safetensors"
        names = ", ".join(source.modalities)
        why = f"waiting for another process to compress {names}"
        with locked(lock_file(self.root, FOLDER, key), Wait(why)):
            frozen = _read(path)
            if frozen is None:
                _write(path, fit())
                frozen = _read(path)
            assert frozen is not None, path
            return frozen

    def key(self, compressor: nn.Module, source: FitVectors, seed: int | None) -> str:
        """The hash of everything that the compression depends on."""
        spec = self.spec
        changed = {
            kind: [name for name in listed if name in source.modalities]
            for kind, listed in (("shuffle", spec.shuffle), ("randomize", spec.randomize))
        }
        return digest(
            {
                "fingerprint": spec.fingerprint,
                "modalities": list(source.modalities),
                **changed,
                "seed_of_change": spec.seed if any(changed.values()) else None,
                "part": dict(source.part),
                "seed": seed,
                "threads": spec.threads,
                "torch": torch.__version__,
                "code": code_of_fit(compressor),
            }
        )


def _write(path: Path, frozen: Frozen) -> None:
    tensors = {TABLE: frozen.table, **{STATE + name: t for name, t in frozen.state.items()}}
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    about = {"numbers": json.dumps(dict(frozen.numbers)), "sha256": _hash(tensors)}
    with replacing(path) as written:
        save_file(tensors, written, metadata=about)


def _read(path: Path) -> Frozen | None:
    """The file's tensors, mapped; None if there is no whole file."""
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None
    if about.get("sha256") != _hash(tensors):
        return None
    state = {name.removeprefix(STATE): t for name, t in tensors.items() if name != TABLE}
    return Frozen(tensors[TABLE], state, json.loads(about["numbers"]))


def _hash(tensors: Mapping[str, Tensor]) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        whole.update(tensor.numpy().data)
    return whole.hexdigest()
