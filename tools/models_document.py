"""docs/models.md, made from the models' docstrings and settings; parameters counted."""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields

from torch import nn

from fusefront.baselines.contract import Baseline, Parts
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.runs.recipe import Training, in_words
from fusefront.harness.testing.shapes import SCHEMA, parameters_of, shapes_of

WIDTH = 16
INTRODUCTION = f"""\
# Models

Made from the docstrings and settings by `make pages`; a test compares this page with the program.

Symbols, unless a model names others:

| symbol | meaning | shape |
| --- | --- | --- |
| i, l, t | an item, the l-th item of the history (oldest first), the candidate | |
| m | a modality, or a slot: the id, a modality or the side fields | |
| x_m; c(x_m) | frozen vector of modality m; the same after the compressor c | [D_m]; [k] |
| E_id(i), or E_id | learned embedding of an item's id | [d] |
| t_m, h_lm | slot m of the candidate, of history item l | [d] |
| e_i, v_i | an item's vector: its parts side by side, or fused | [D] |
| u, u_m | the history pooled to one vector, over all slots or of slot m | [D], [d] |
| f_m | what slot m gives to the operator: a vector, or a tower's logit | [d] or a number |
| g_i; cos(g_t, g_l) | frozen content of an item; its cosine with a history item | [M k]; a number |
| Φ | the fusion operator ([operators.md](operators.md)) | |
| context | context fields and numbers of request and candidate, embedded | [C] |
| W, V, U, w, b | learned matrices, vectors and biases, of their own in each formula | |
| [a; b], ⊙, a' | side by side; the product number by number; transposed | |
| σ, LN, BN | sigmoid, layer norm, batch norm | |
| MLP_{{512,256,1}} | a network with these widths, the output included | |

Every model is two halves: `encode_items` makes each item's codes offline, `score` is the light
graph that is exported and timed. Codes hold a pooler's projections too, so online nothing is
projected twice. All of them train on requests: K candidates of one request give the scores, the
loss and the gradients of K separate rows.

Where the data tells the events of a history apart (`history.kind`: a rating, a behaviour), every
model that reads histories adds a learned vector of each kind and slot to the item's tokens,
before operator and pooler: x_(i,k) = x_i + v_k, cleared where the slot is absent, v_0 = 0.
Auxiliary losses see an item once.

Parameters are counted with the default settings on a catalogue of {SCHEMA.items:,} items with
modalities of 64, 64 and 32 numbers, one request field and one candidate field (the demo's world).
On the MMCTR challenge's vocabulary (91,718 items, 11,740 tags, 11 likes levels, 11 views levels,
a vector of 128 numbers) the counts of `din` (8,611,842), `qin` of rank 3 (27,045,893) and 4
(31,244,293) and `momo` (267,898,881) equal the published ones exactly.

Settings go into a study's YAML; a nested one may be dotted (`pooler.heads: 4`) and updates the
default part unless it names another. `none` switches a part off. Wrong names are refused with the
nearest known one, combinations that mean nothing with a sentence.
"""
POOLING = f"""\
## Poolers

A history and a candidate to one vector. What depends on one item alone is made offline.
Parameters for items of width {WIDTH}. A pooler with "own width" serves at placement `item` only.
"""
HEADING = f"""\
## Heads

Features to a logit; in evaluation the batch norm is folded into the first product. Parameters for
{WIDTH} features.
"""
PARADIGMS: dict[str, tuple[tuple[str, ...], str]] = {  # of MMCTR-Bench: models here, and the rest
    "TMIE": (
        ("dmf",),
        "MMMLP; of Diff-MSIN the operator `src` is, its hinge needs labels inside the operator",
    ),
    "CSAQ": (
        ("simtier", "make", "m3srec", "em3"),
        "QARM's and PSRQ's codes are the compressors `qarm` and `psrq`. Its MAKE is `simtier` "
        "here, with frozen content and beside an id model; `make` is the paper's two stages",
    ),
    "GFFI": (
        ("naml", "lmf", "simcen", "mtfn"),
        "MB ascends on its inputs (projected gradient), which does not fit one loss a step",
    ),
    "RDRR": (
        ("pamd", "marn"),
        "GMMF alternates optimisers, which does not fit one loss a step",
    ),
}
NEXT_TO_OTHERS = """\
## Beside MMCTR-Bench

Of the sixteen multimodal models of MMCTR-Bench, over its four paradigms:

| paradigm | models here | not here |
| --- | --- | --- |
{rows}

Its baselines DIN, DeepFM and AutoInt are `din`, `deepfm` and `autoint`; momo and QIN come from
the challenge, `seed_reconstruction` from its task-2 winner. The token codes of team QVQ are the
compressors `vq` and `rq` here. A missing modality is neutral here (a factor 1 in a product),
where MMCTR-Bench has a zero vector.

How they are tested: every entry goes through the same contract tests (grouped = row-wise
training, padding, absent modalities, batch independence, gradients, seeds, bfloat16, ONNX at 1, 7
and 512 candidates and requests). Published models are built small there: momo, DIN, QIN and the
others with embeddings of 4 to 16 and one or two layers, since a whole momo takes a gigabyte. The
exact parameter counts are of the whole models, from shapes.
"""


def models_markdown() -> str:
    """The whole page."""
    return "\n".join(
        [
            INTRODUCTION,
            *[_model(name, kind) for name, kind in BASELINES.items()],
            POOLING,
            *[_part(name, kind, kind(WIDTH)) for name, kind in POOLERS.items()],
            HEADING,
            *[_part(name, kind, kind(WIDTH)) for name, kind in HEADS.items()],
            _beside_others(),
        ]
    )


def _beside_others() -> str:
    rows = [
        f"| {paradigm} | {', '.join(f'`{name}`' for name in names)} | {rest} |"
        for paradigm, (names, rest) in PARADIGMS.items()
    ]
    return NEXT_TO_OTHERS.format(rows="\n".join(rows))


def _model(name: str, kind: type[Baseline]) -> str:
    parts = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)
    counts = parameters_of(shapes_of(kind, parts))
    shown = ", ".join(f"{role} {count:,}" for role, count in counts.items() if count)
    title, text = _docstring(kind)
    lines = [f"## {name}\n", f"{title} *{kind.family if name != 'composed' else 'any family'}*\n"]
    if text:
        lines.append(f"```text\n{text}\n```\n")
    if kind.paper:
        lines.append(f"Source: {kind.paper}.\n")
    lines.append(f"Parameters: {sum(counts.values()):,} ({shown}).\n")
    if kind.recipe:
        recipe = in_words(Training.model_validate(kind.recipe))
        lines.append(f"Trained by default as published: {recipe}. From: {kind.recipe_source}.\n")
    lines.append(f"Settings: {_settings(kind.Settings)}.\n")
    if kind.choices:
        lines.append(f"Searched: {_choices(kind.choices)}.\n")
    return "\n".join(lines)


def _part(name: str, kind: type[nn.Module], module: nn.Module) -> str:
    title, text = _docstring(kind)
    count = sum(p.numel() for p in module.parameters())
    wide = "" if getattr(kind, "keeps_width", True) else ", own width"
    lines = [f"### {name}\n", f"{title} Parameters: {count:,}{wide}.\n"]
    if text:
        lines.append(f"```text\n{text}\n```\n")
    if choices := getattr(kind, "choices", {}):
        lines.append(f"Choices: {_choices(choices)}.\n")
    return "\n".join(lines)


def _docstring(kind: type[nn.Module]) -> tuple[str, str]:
    """The first paragraph on one line, and the rest as it stands."""
    first, _, rest = (sys.modules[kind.__module__].__doc__ or "").partition("\n\n")
    return " ".join(first.split()), rest.strip()


def _settings(kind: type) -> str:
    """Every setting, or a family's own beside those of the composed model."""
    known = fields(kind)
    end = ""
    if issubclass(kind, ComposedSettings) and kind is not ComposedSettings:
        own = inspect.get_annotations(kind)
        known = tuple(field for field in known if field.name in own)
        end = "; the rest as [composed](#composed) has them"
    return ", ".join(f"`{field.name}` {_default(field)}" for field in known) + end


def _default(field: Field[object]) -> str:
    if field.default is not MISSING:
        return _value(field.default)
    assert field.default_factory is not MISSING
    return _value(field.default_factory())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        rest = ", ".join(f"{k}: {_value(v)}" for k, v in value.items() if k != "name")
        return f"{value['name']} ({rest})" if rest else str(value["name"])
    if isinstance(value, tuple):
        return "-".join(map(str, value)) or "none"
    return {"": "first", "None": "none", "True": "yes", "False": "no"}.get(str(value), str(value))


def _choices(choices: Mapping[str, tuple[object, ...]]) -> str:
    return "; ".join(f"`{key}` {', '.join(map(_value, some))}" for key, some in choices.items())
