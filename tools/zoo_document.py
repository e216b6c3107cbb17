"""docs/operators.md, made from the zoo: formulas from the docstrings, costs counted."""

import sys
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from fusefront.fusion_variants.contract import AlignmentLoss, Compressor, FusionOperator
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.parts.listing import SLOTS, VECTOR, WIDTH, cacheable
from fusefront.harness.testing.macs import compressor_macs_per_item, macs_per_item

LEVELS = {
    "feature": "item, pooled, interaction",
    "logit": "logit",
    "any": "item, pooled, interaction, logit",
}
INTRODUCTION = f"""\
# Operators, compressors and alignment losses

Made from the docstrings and counted on the modules by `tools.zoo_document`; a test compares this
page with the program. Every operator leaves an absent slot out, whatever its vector holds, and
gives a zero token that is not present when no slot is there. Symbols, unless a row names others:

| symbol | meaning | shape |
| --- | --- | --- |
| x_m; X | token of slot m; all M slots side by side | [d]; [M d] |
| π_m | presence of slot m, 1 or 0 | a number |
| q | the query, of an operator that has one | [query_width] |
| f_m | logit of tower m | a number |
| W, V, P, b, e_m | learned matrices, biases and slot embeddings, of their own in each row | |
| r; F_m^(r), V_m^(r) | rank index; matrix of slot m and rank r | |
| [a; b], ⊙, ⊗ | side by side; the product number by number; the outer product | |
| σ, LN | sigmoid, layer norm | |

Slots are numbered from 1 to M, or from 0 to M - 1 where slot 0 is the item's id. In the tables of
compressors x is the vector of one modality [D] and z its code [k]; in those of alignment losses a
and b are the tokens [n, d] of two modalities of the same n items.

Parameters and kMAC (thousands of multiply-accumulates for one item, matrix products only) are
for M = {SLOTS} slots of width d = {WIDTH} with the default choices; operators on logits have d = 1.
"""
EXAMPLE = """\
## Your own operator

One file, no registration: [extending.md](extending.md#an-operator) has one in full.
`fusefront check FILE` (or `check_operator` of `fusefront.harness.testing`) holds it to the
contract that the shipped operators keep, and says in one sentence each what it breaks: shapes,
absent slots, content that does not count, scores that depend on the batch, parameters that
nothing teaches, seeds, bfloat16, and the numbers of ONNX Runtime.

Into this repository it goes with one file and one line: the file under
`fusion_variants/operators/`, its formula and source in the docstring, and `"largest": Largest` in
the dictionary of `fusion_variants/zoo.py`. The contract tests, the refusals, `list` and this page
(`make pages`) take it from there.
"""
OTHERS = """\
## Beside MMCTR-Bench and MultiBench

MMCTR-Bench's nine operators: CAT `concat`, MAF `maf`, LMF `lmf`, MTFN `mtfn`, FQ-Former
`fq_former`, SimCEN `simcen`, SRC `src`; DTA and DMF need target, history and mask together and
are the poolers `similarity_buckets` and `similarity_histogram`.

MultiBench's fusions: Concat, ConcatEarly, Stack and ConcatWithLinear are `concat`; multiplicative
interactions are `bilinear` (matrix form), `film` (FiLM form) and `dcnv2`; TensorFusion `tfn`;
LowRankTensorFusion `lmf`; the NL gate is `gmu` and `scalar_gate`; EarlyFusionTransformer and
LateFusionTransformer are `self_attention` at `item` and at `pooled`; MulT's crossmodal attention
is `cross_attention`. What does not apply: MCTN and MVAE translate or generate sequences that an
item's single vector does not have, MFAS searches architectures, sensor fusion is of robots.
"""
CACHEABLE = """\
*Cacheable* operators read nothing but the item: at placement `item` their result is made once per
item, offline, and the online graph holds no operator at all. "without query" means that the same
operator built with `query_width` (target-aware) runs for every candidate. Operators on logits
always run online.
"""


def operators_markdown() -> str:
    """The whole page."""
    parts = [
        INTRODUCTION,
        EXAMPLE,
        "## Operators\n",
        CACHEABLE,
        _table(
            (
                "name",
                "formula",
                "parameters",
                "kMAC",
                "cacheable",
                "placements",
                "choices",
                "paper",
            ),
            [_operator(name, part) for name, part in OPERATORS.items()],
        ),
        "## Compressors\n",
        f"For one modality of width {VECTOR}. *Table* is what is stored for an item: numbers times "
        "bytes; kMAC is the learned part.\n",
        _table(
            ("name", "formula", "table", "width out", "parameters", "kMAC", "choices", "paper"),
            [_compressor(name, part) for name, part in COMPRESSORS.items()],
        ),
        "## Alignment losses\n",
        "Between the tokens a, b of two modalities of the same items; rows that have both.\n",
        _table(
            ("name", "formula", "parameters", "choices", "paper"),
            [_alignment(name, part) for name, part in ALIGNMENTS.items()],
        ),
        OTHERS,
        "## Details\n",
        *_details([*OPERATORS.items(), *COMPRESSORS.items(), *ALIGNMENTS.items()]),
    ]
    return "\n".join(parts)


def _operator(name: str, part: type[FusionOperator]) -> Sequence[str]:
    d = 1 if part.level == "logit" else WIDTH
    operator = part(SLOTS, d)
    placements = LEVELS[part.level]
    if part.most_slots is not None:
        placements += f" (at most {part.most_slots} slots)"
    if part.uses_query_slot:
        placements += "; needs an id slot" + (" without query" if part.uses_query else "")
    return (
        f"`{name}`",
        _formula(part),
        f"{_parameters(operator):,}",
        _thousands(macs_per_item(operator, SLOTS, d)),
        cacheable(part),
        placements,
        _choices(part.choices),
        part.paper,
    )


def _compressor(name: str, part: type[Compressor]) -> Sequence[str]:
    compressor = part(VECTOR)
    table = compressor.transform(torch.zeros(2, VECTOR))
    if not table.is_floating_point() and table.dtype != torch.int8:
        stored = f"{table.shape[1]} codes"
    else:
        stored = f"{table.shape[1]} × {table.element_size()}"
    return (
        f"`{name}`",
        _formula(part),
        stored,
        str(compressor.width_out),
        f"{_parameters(compressor):,}",
        _thousands(compressor_macs_per_item(compressor)),
        _choices(part.choices),
        part.paper,
    )


def _alignment(name: str, part: type[AlignmentLoss]) -> Sequence[str]:
    count = f"{_parameters(part(WIDTH)):,}"
    return f"`{name}`", _formula(part), count, _choices(part.choices), part.paper


def _details(entries: Iterable[tuple[str, type[nn.Module]]]) -> list[str]:
    sections = []
    for name, part in entries:
        _, _, rest = _docstring(part).partition("\n\n")
        if rest:
            sections.append(f"### {name}\n\n```text\n{rest.strip()}\n```\n")
    return sections


def _docstring(part: type[nn.Module]) -> str:
    return sys.modules[part.__module__].__doc__ or ""


def _formula(part: type[nn.Module]) -> str:
    first = " ".join(_docstring(part).partition("\n\n")[0].split())
    title, _, formula = first.partition(": ")
    mathematics = any(sign in formula for sign in "_=Σ")
    text = f"{title}: `{formula}`" if mathematics else f"{title}: {formula}" if formula else title
    return text.replace("|", "\\|")


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _thousands(macs: int) -> str:
    return "0" if macs == 0 else f"{macs / 1000:,.1f}" if macs >= 100 else "< 0.1"


def _choices(choices: object) -> str:
    assert isinstance(choices, dict)
    return "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in choices.items())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"
