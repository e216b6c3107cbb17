"""The contract of a fusion operator, checked by one call: `check_operator(MyFusion)`.

Each promise has its own error class: shapes with free leading axes; an absent slot changes nothing;
the content of a present slot counts; scores do not depend on the other rows of the batch; all
parameters learn; a seed repeats the results; numbers stay finite in bfloat16; a query has an
effect; ONNX Runtime gives the same numbers. Checks run in float64, so that round-off is not taken
for an effect (a bias under a softmax "learns" at 1e-8).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import product

import torch

from fusefront.fusion_variants.contract import FusionOperator
from fusefront.harness.parts.kinds import OPERATOR
from fusefront.harness.testing.case import Case
from fusefront.harness.testing.declaration import (
    check_builds,
    check_class,
    check_keywords,
    check_of,
    label_of,
)
from fusefront.harness.testing.in_model import in_model
from fusefront.harness.testing.module_checks import SEED
from fusefront.harness.testing.operator_checks import (
    check_batch,
    check_content,
    check_finite,
    check_gradients,
    check_presence,
    check_query,
    check_seeds,
    check_shapes,
    check_weights,
)
from fusefront.harness.testing.promises import DeclarationError, Promise

ROWS = 96
QUERY_WIDTH = 5
STACKERS = ("logit_stacked",)  # not in the composed model: its towers train on other rows


def operator_promises(
    operator_class: type[FusionOperator],
    *,
    slots: int = 3,
    d: int = 8,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
    seed: int = SEED,
) -> Iterator[Promise]:
    """The promises of an operator; the cases are built on demand.

    An operator whose `level` is "logit" is checked at d = 1, one with "any" at d and at 1. One with
    `uses_query` is checked with and without it.
    `exceptions` are patterns of parameter names that may
    stay without a gradient (a bias before a batch norm). `export=False` leaves out ONNX Runtime and
    the composed model, which take seconds.
    """
    built: list[Case] = []
    choosing: list[Case] = []  # with a single slot a gate has nothing to weigh or to learn

    def declared() -> None:
        built.extend(cases(operator_class, slots, d, dict(choices or {}), seed))
        most = operator_class.most_slots
        several = max(slots, 2 if most is None else min(2, most))
        choosing.extend(cases(operator_class, several, d, dict(choices or {}), seed))

    def over(check: Callable[[Case], None], among: list[Case] = built) -> Callable[[], None]:
        def all_cases() -> None:
            for case in among:
                check(case)

        return all_cases

    yield Promise("the class says what it is and can be built", declared, gate=True)
    yield Promise("shapes with free leading axes", over(check_shapes), gate=True)
    # a random operator breaks every comparison below
    yield Promise("a seed repeats the results", over(check_seeds), gate=True)
    yield Promise("an absent slot changes nothing", over(check_presence))
    yield Promise("a slot's weight is one number, 0 where it is absent", over(check_weights))
    yield Promise("what a present slot holds can count", over(check_content))
    yield Promise("an item is scored alone as among others", over(check_batch))
    yield Promise(
        "every parameter learns", over(lambda case: check_gradients(case, exceptions), choosing)
    )
    yield Promise("numbers stay finite in bfloat16", over(check_finite))
    if getattr(operator_class, "uses_query", False):
        yield Promise("the query is listened to", over(check_query, choosing))
    if export:
        from fusefront.harness.testing.operator_export import check_export

        yield Promise("ONNX Runtime gives the same numbers", over(check_export))
        for settings in _placed(operator_class, dict(choices or {})):
            checks = ("split", "grouping", "presence")
            yield from in_model(OPERATOR, operator_class, settings, checks, export=True)


check_operator = check_of(OPERATOR, operator_promises)
check_fusion = check_operator  # its first name


def _placed(
    operator_class: type[FusionOperator], choices: dict[str, object]
) -> list[dict[str, object]]:
    """The settings of the composed model with the operator, once offline and once online."""
    if operator_class.name in STACKERS:
        return []
    spec = {"name": operator_class.name, **choices}
    places = ["logit"] if operator_class.level == "logit" else ["item", "pooled"]
    return [{"operator": spec, "placement": place, "token_width": 8} for place in places]


def cases(
    operator_class: type[FusionOperator],
    slots: int,
    d: int,
    choices: dict[str, object],
    seed: int = SEED,
) -> list[Case]:
    """Every way in which the contract lets a model build the operator with these choices."""
    _check_declared(operator_class)
    level = operator_class.level
    widths = {"feature": [d], "logit": [1], "any": [d, 1]}[level]
    ways = []
    for width in widths:
        asks = [0, QUERY_WIDTH] if operator_class.uses_query else [0]
        if level == "any" and width == 1:
            asks = [QUERY_WIDTH]  # at placement `logit` the features arrive as the query
        for ask in asks if "query_width" not in choices else [None]:
            settings = choices if ask is None else choices | ({"query_width": ask} if ask else {})
            ways.append(_case(operator_class, slots, width, settings, seed))
    return ways


def _check_declared(operator_class: type[FusionOperator]) -> None:
    check_class(OPERATOR, operator_class)
    if operator_class.level not in ("feature", "logit", "any"):
        raise DeclarationError(
            f"{label_of(OPERATOR, operator_class)}: level is {operator_class.level!r}; "
            "expected 'feature', 'logit' or 'any'"
        )
    asks = ["query_width"] if operator_class.uses_query else []
    check_keywords(OPERATOR, operator_class, [*operator_class.choices, *asks])


def _case(
    operator_class: type[FusionOperator], slots: int, d: int, choices: dict[str, object], seed: int
) -> Case:
    def build() -> FusionOperator:
        torch.manual_seed(seed)
        return operator_class(slots, d, **choices)

    label = label_of(OPERATOR, operator_class)
    check_builds(label, build)
    if choices:
        label += f" with {', '.join(f'{key}={value}' for key, value in choices.items())}"
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.tensor(list(product([False, True], repeat=slots)))
    rest = torch.rand(ROWS, slots, generator=generator) < 0.7
    present = torch.cat([patterns, rest])
    x = torch.randn(len(present), slots, d, generator=generator, dtype=torch.float64)
    width = choices.get("query_width", 0)
    query = None
    if isinstance(width, int) and width:
        query = torch.randn(len(present), width, generator=generator, dtype=torch.float64)
    return Case(build, x, present, query, label, seed)
