"""The promises of a compressor; each is a function that raises a ContractError, its breach."""

import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Compressor
from fusefront.harness.serving.export.trace import quiet
from fusefront.harness.testing.module_checks import check_equal, gradients_of
from fusefront.harness.testing.promises import (
    BatchError,
    ExportError,
    FiniteError,
    PresenceError,
    SeedError,
    ShapeError,
    StateError,
)

ROWS = 400


@dataclass(frozen=True)
class Fitted:
    """A compressor to check: how it is built, and the rows [n, width] that it is fitted on."""

    label: str
    build: Callable[[], Compressor]
    rows: Tensor

    def fit(self, seed: int = 0) -> tuple[Compressor, Mapping[str, float]]:
        """The compressor fitted with one seed, its learned part drawn with another; and the fit's
        report."""
        torch.manual_seed(1)
        compressor = self.build()
        return compressor, compressor.fit(self.rows, seed).numbers

    def eval_compressor(self) -> Compressor:
        """The fitted compressor in eval mode."""
        return self.fit()[0].eval()


def rows_of(width: int, seed: int = 0) -> Tensor:
    """Correlated rows [ROWS, width] with a mean and very different scales; the seed draws them from
    one distribution."""
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(0)) / width**0.5
    scale = torch.linspace(3, 0.2, width)
    drawn = torch.randn(ROWS, width, generator=torch.Generator().manual_seed(seed + 1))
    rows: Tensor = drawn @ mix * scale + 1.0
    return rows


def _there(rows: int) -> Tensor:
    return torch.ones(rows, dtype=torch.bool)


def check_widths(fitted: Fitted) -> None:
    """The frozen table is [n, width_frozen], and codes made from it are [..., width_out], finite
    float32."""
    compressor, n = fitted.eval_compressor(), len(fitted.rows)
    table = compressor.transform(fitted.rows)
    if tuple(table.shape) != (n, compressor.width_frozen):
        raise ShapeError(
            f"{fitted.label}: transform gives {tuple(table.shape)} for {n} rows; expected "
            f"{(n, compressor.width_frozen)}: rows, width_frozen"
        )
    with torch.no_grad():
        x, loss = compressor(table.reshape(n // 10, 10, -1), _there(n).reshape(-1, 10))
    if tuple(x.shape) != (n // 10, 10, compressor.width_out) or x.dtype != torch.float32:
        raise ShapeError(
            f"{fitted.label}: forward gives {x.dtype} {tuple(x.shape)}; expected torch.float32 "
            f"{(n // 10, 10, compressor.width_out)}: any leading axes, width_out"
        )
    if tuple(loss.shape) != () or float(loss) != 0.0:
        raise ShapeError(f"{fitted.label}: its loss in eval mode is not a zero []")
    if not bool(x.isfinite().all()):
        raise FiniteError(f"{fitted.label}: codes of finite rows are not finite")


def check_presence(fitted: Fitted) -> None:
    """The content of an absent row changes nothing, and its code is zero."""
    there = torch.tensor([True, False, True, True, False, True])
    for training in (False, True):
        compressor = fitted.eval_compressor().train(training)
        table = compressor.transform(fitted.rows[:6])
        dirty = table.clone()
        dirty[~there] = torch.nan if table.is_floating_point() else 1
        outputs = []
        for part in (table, dirty):
            torch.manual_seed(2)
            outputs.append(compressor(part, there))
        broken = PresenceError(
            f"{fitted.label}: what an absent row holds changes codes, loss or gradients; clear it "
            "with masked_fill before anything else (0 * NaN is NaN)"
        )
        check_equal(outputs[1], outputs[0], broken, rtol=0.0, atol=0.0)
        clean, noisy = (gradients_of(compressor, part) for part in outputs)
        check_equal(noisy, clean, broken, rtol=0.0, atol=0.0)
        if bool(outputs[0][0][~there].any()):
            raise PresenceError(f"{fitted.label}: the code of an absent row is not zero")


def check_fit(fitted: Fitted) -> None:
    """A fit with the same seed repeats, does not use the global generator, and reports numbers."""
    torch.manual_seed(1)
    first, again = fitted.build(), None
    before = torch.get_rng_state()
    report = first.fit(fitted.rows, 0).numbers
    if not torch.equal(torch.get_rng_state(), before):
        raise SeedError(
            f"{fitted.label}: fit draws from the global generator; use "
            "torch.Generator().manual_seed(seed)"
        )
    again, repeated = fitted.fit()
    broken = SeedError(
        f"{fitted.label}: fitting twice by one seed gives different tables or reports"
    )
    check_equal(again.transform(fitted.rows), first.transform(fitted.rows), broken, rtol=0, atol=0)
    if dict(repeated) != dict(report):
        raise broken
    if not all(isinstance(value, float | int) for value in report.values()):
        raise ShapeError(f"{fitted.label}: its report holds something else than numbers")


def check_fit_uses(fitted: Fitted) -> None:
    """The fit depends on what `fit_uses` says: trainings share its table on this word."""
    uses = fitted.build().fit_uses
    if uses not in ("rows", "seed", "model"):
        raise SeedError(
            f"{fitted.label}: fit_uses is {uses!r}; expected 'rows', 'seed' or 'model', what its "
            "fit depends on"
        )
    if uses == "model":
        return
    broken = SeedError(
        f"{fitted.label}: fit_uses is {uses!r}, but its fit depends on more: "
        + ("its own first weights; say 'model'" if uses == "seed" else "say 'seed' or 'model'")
    )
    results = []
    for weights in (1, 2):
        torch.manual_seed(weights)
        compressor = fitted.build()
        before = {name: value.clone() for name, value in compressor.state_dict().items()}
        compressor.fit(fitted.rows, 0 if uses == "seed" else weights)
        state = {
            name: value
            for name, value in compressor.state_dict().items()
            if not torch.equal(value, before[name])
        }
        results.append({**state, "": compressor.transform(fitted.rows)})
    if results[0].keys() != results[1].keys():
        raise broken
    for name, value in results[0].items():
        check_equal(results[1][name], value, broken, rtol=0.0, atol=0.0)


def check_alone(fitted: Fitted) -> None:
    """The table and the code of a row do not depend on the other rows."""
    compressor = fitted.eval_compressor()
    many, single = (compressor.transform(rows) for rows in (fitted.rows[:50], fitted.rows[7:8]))
    broken = BatchError(
        f"{fitted.label}: a row alone is compressed differently than among 50; fit what depends on "
        "other rows in `fit`"
    )
    check_equal(single.float(), many[7:8].float(), broken, rtol=0.0, atol=_round_off(many))
    with torch.no_grad():
        whole = compressor(many, _there(50))[0]
        code = compressor(many[7:8], _there(1))[0]
    check_equal(code, whole[7:8], broken, rtol=0.0, atol=_round_off(whole))


def _round_off(table: Tensor) -> float:
    """The difference that float32 products of another shape may make: a thousandth of the largest
    number."""
    return 1e-3 * float(table.float().abs().max())


def check_gaps(fitted: Fitted) -> None:
    """A joint compressor accepts NaN where an item lacks a modality, when fitted and afterwards."""
    torch.manual_seed(1)
    compressor, rows = fitted.build(), fitted.rows.clone()
    rows[::7, : rows.shape[1] // 2] = torch.nan
    compressor.fit(rows, 0)
    with torch.no_grad():
        x = compressor.eval()(compressor.transform(rows), _there(len(rows)))[0]
    if not bool(x.isfinite().all()):
        raise FiniteError(
            f"{fitted.label}: NaN where a modality is absent comes out again; fill the gaps"
        )


def check_restored(fitted: Fitted) -> None:
    """Another instance with its saved state gives the same codes, the frozen part included."""
    compressor, again = fitted.eval_compressor(), fitted.build().eval()
    again.load_state_dict(compressor.state_dict())
    broken = StateError(
        f"{fitted.label}: loaded from its state it gives other numbers; keep what is fitted in "
        "buffers"
    )
    tables = [part.transform(fitted.rows[:9]) for part in (compressor, again)]
    check_equal(tables[1], tables[0], broken, rtol=0.0, atol=0.0)
    with torch.no_grad():
        codes = [part(tables[0], _there(9))[0] for part in (compressor, again)]
    check_equal(codes[1], codes[0], broken, rtol=0.0, atol=0.0)


def check_exported(fitted: Fitted) -> None:
    """The learned part in ONNX Runtime: exported at 2 rows, compared at 50."""
    compressor = fitted.eval_compressor()
    table = compressor.transform(fitted.rows[:50])
    there = torch.arange(50) % 10 != 3
    with tempfile.TemporaryDirectory() as folder:
        path, batch = Path(folder) / "part.onnx", torch.export.Dim("batch")
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about its own internals
            try:
                torch.onnx.export(
                    compressor,
                    (table[:2], there[:2]),
                    path,
                    input_names=["rows", "present"],
                    dynamic_shapes=({0: batch}, {0: batch}),
                    dynamo=True,
                    verbose=False,
                )
            except Exception as error:
                reason = str(error).strip().split("\n")[0]
                raise ExportError(f"{fitted.label}: ONNX export fails: {reason}") from error
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        inputs = {"rows": table.numpy(), "present": there.numpy()}
        known = {node.name for node in session.get_inputs()}
        served = session.run(None, {name: part for name, part in inputs.items() if name in known})[
            0
        ]
    with torch.no_grad():
        eager = compressor(table, there)[0].numpy()
    if served.shape != eager.shape or not np.allclose(served, eager, rtol=1e-4, atol=1e-5):
        raise ExportError(f"{fitted.label}: ONNX Runtime gives other codes than eager for 50 items")
