"""The contract of a fusion operator as one call: `check_fusion(MyFusion)`.

What it holds an operator to, each with an error class of its own: shapes with free leading axes, an
absent slot that changes nothing, content that always counts, scores that do not depend on the rest
of the batch, parameters that all learn, results that a seed repeats, numbers that stay finite in
bfloat16, a query that is listened to, and the same numbers in ONNX Runtime. Checks run in float64, so
that what round-off lets through elsewhere (a bias under a softmax "learns" at 1e-8) does not pass.
"""

import inspect
from collections.abc import Collection, Mapping
from itertools import product

import torch

from fusefront.fusion_variants.contract import FusionOperator
from fusefront.harness.testing.checks import (
    SEED,
    Case,
    ContractError,
    DeclarationError,
    check_batch,
    check_content,
    check_finite,
    check_gradients,
    check_presence,
    check_query,
    check_seeds,
    check_shapes,
)

__all__ = ["Case", "ContractError", "cases", "check_fusion"]

ROWS = 96
QUERY_WIDTH = 5


def check_fusion(
    operator_class: type[FusionOperator],
    *,
    slots: int = 3,
    d: int = 8,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
) -> None:
    """Hold an operator class to the contract.

    A `level` of "logit" is checked at d = 1, "any" at both; `uses_query` with and without a query.
    `exceptions` names parameters that may go without a gradient (a bias before a batch norm).
    `export=False` leaves out ONNX Runtime, which takes seconds.

    Raises:
        ContractError: the first broken promise, as a sentence.
    """
    for case in cases(operator_class, slots, d, dict(choices or {})):
        check_shapes(case)
        check_seeds(case)  # first: what is random breaks every comparison below
        check_presence(case)
        check_content(case)
        check_batch(case)
        check_gradients(case, exceptions)
        check_finite(case)
        check_query(case)
        if export:
            from fusefront.harness.testing.export import check_export

            check_export(case)


def cases(
    operator_class: type[FusionOperator], slots: int, d: int, choices: dict[str, object]
) -> list[Case]:
    """Every way the contract lets a model build the operator with these choices."""
    _check_declared(operator_class)
    name, level = operator_class.name, operator_class.level
    widths = {"feature": [d], "logit": [1], "any": [d, 1]}[level]
    made = []
    for width in widths:
        asks = [0, QUERY_WIDTH] if operator_class.uses_query else [0]
        if level == "any" and width == 1:
            asks = [QUERY_WIDTH]  # at placement `logit` the features come through the query
        for ask in asks if "query_width" not in choices else [None]:
            settings = choices if ask is None else choices | ({"query_width": ask} if ask else {})
            made.append(_case(operator_class, slots, width, settings, f"operator {name!r}"))
    return made


def _check_declared(operator_class: type[FusionOperator]) -> None:
    if not (isinstance(operator_class, type) and issubclass(operator_class, FusionOperator)):
        raise DeclarationError(f"{operator_class!r} is not a subclass of FusionOperator")
    name = getattr(operator_class, "name", None)
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"{operator_class.__name__} has no `name`; give it a short word")
    if operator_class.level not in ("feature", "logit", "any"):
        raise DeclarationError(
            f"operator {name!r}: level is {operator_class.level!r}; "
            "expected 'feature', 'logit' or 'any'"
        )
    known = inspect.signature(operator_class).parameters
    wanted = [*operator_class.choices, *(["query_width"] if operator_class.uses_query else [])]
    for keyword in wanted:
        if keyword not in known or known[keyword].default is inspect.Parameter.empty:
            raise DeclarationError(
                f"operator {name!r}: __init__ takes no keyword {keyword!r} with a default; "
                "every choice, and query_width where uses_query is set, needs one"
            )


def _case(
    operator_class: type[FusionOperator], slots: int, d: int, choices: dict[str, object], label: str
) -> Case:
    def build() -> FusionOperator:
        torch.manual_seed(SEED)
        return operator_class(slots, d, **choices)

    if choices:
        label += f" with {', '.join(f'{key}={value}' for key, value in choices.items())}"
    generator = torch.Generator().manual_seed(SEED)
    patterns = torch.tensor(list(product([False, True], repeat=slots)))
    rest = torch.rand(ROWS, slots, generator=generator) < 0.7
    present = torch.cat([patterns, rest])
    x = torch.randn(len(present), slots, d, generator=generator, dtype=torch.float64)
    width = choices.get("query_width", 0)
    query = None
    if isinstance(width, int) and width:
        query = torch.randn(len(present), width, generator=generator, dtype=torch.float64)
    return Case(build, x, present, query, label)
