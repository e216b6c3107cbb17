"""The contract of a compressor, checked by one call: `check_compressor(FirstNumbers)`."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Compressor
from fusefront.harness.parts.kinds import COMPRESSOR
from fusefront.harness.testing.compressor_checks import (
    Fitted,
    check_alone,
    check_exported,
    check_fit,
    check_fit_uses,
    check_gaps,
    check_presence,
    check_restored,
    check_widths,
    rows_of,
)
from fusefront.harness.testing.declaration import check_of, declared, label_of
from fusefront.harness.testing.in_model import in_model
from fusefront.harness.testing.module_checks import check_learns
from fusefront.harness.testing.promises import Promise
from fusefront.harness.testing.scene import SCHEMA, make_scene

WIDTHS = (64, 256, 1024)  # widths of vectors to try; the first one that the constructor accepts


def compressor_promises(
    kind: type[Compressor],
    *,
    width: int | None = None,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
) -> Iterator[Promise]:
    """The promises of a compressor, by itself and in the composed model.

    `width` is that of the vectors (by default 64, or more if the compressor refuses that).
    `exceptions` are patterns of parameter names that may stay without a gradient; `export=False`
    leaves out ONNX Runtime, which takes seconds.
    """
    label, chosen = label_of(COMPRESSOR, kind), dict(choices or {})
    wide = _width(kind, chosen) if width is None else width
    fitted = Fitted(label, lambda: kind(wide, **chosen), rows_of(wide))

    yield declared(COMPRESSOR, kind, fitted.build, getattr(kind, "choices", {}))
    yield Promise("tables and outputs have their widths", lambda: check_widths(fitted), gate=True)
    yield Promise("a seed repeats the fit", lambda: check_fit(fitted), gate=True)
    yield Promise("its fit uses what it says", lambda: check_fit_uses(fitted))
    yield Promise("an absent row is zero and moves nothing", lambda: check_presence(fitted))
    yield Promise("a row is compressed alone as among others", lambda: check_alone(fitted))
    if kind.joint:
        yield Promise("gaps of a modality are filled", lambda: check_gaps(fitted))
    yield Promise("its state restores it", lambda: check_restored(fitted))
    yield Promise("every parameter learns", lambda: check_learns(label, *_step(fitted), exceptions))
    if export:
        yield Promise("ONNX Runtime gives the same numbers", lambda: check_exported(fitted))
    settings = {"operator": "concat", "token_width": 8, "compressor": {"name": kind.name, **chosen}}
    schema = SCHEMA._replace(items=600, modalities=dict.fromkeys(SCHEMA.modalities, wide))
    yield from in_model(
        COMPRESSOR,
        kind,
        settings,
        ("split", "grouping", "presence", "keep"),
        export=export,
        scene=make_scene(schema),
    )


check_compressor = check_of(COMPRESSOR, compressor_promises)


def _width(kind: type[Compressor], choices: Mapping[str, object]) -> int:
    """The first width that the constructor accepts."""
    for width in WIDTHS:
        try:
            kind(width, **choices)
        except ValueError:
            continue
        except Exception:  # said by the first promise
            break
        return width
    return WIDTHS[0]


def _step(fitted: Fitted) -> tuple[Callable[[], nn.Module], Callable[[nn.Module], list[Tensor]]]:
    """A fitted compressor, and one training step of it on new rows."""

    def build() -> nn.Module:
        return fitted.fit()[0]

    def run(module: nn.Module) -> list[Tensor]:
        compressor = cast(Compressor, module)
        table = compressor.float().transform(rows_of(fitted.rows.shape[1], seed=4))
        return list(compressor(table, torch.ones(len(table), dtype=torch.bool)))

    return build, run
