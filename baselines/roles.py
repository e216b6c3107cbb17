"""Which parameter plays which role: what the trainer decays, what the report counts."""

from collections.abc import Iterable

from torch import nn


def split_roles(
    model: nn.Module,
    *,
    id_embedding: Iterable[nn.Module | None] = (),
    field_embedding: Iterable[nn.Module | None] = (),
    fusion: Iterable[nn.Module | None] = (),
) -> dict[str, list[nn.Parameter]]:
    """Every parameter of `model` once; the first role that names its module wins, the rest is dense."""
    roles: dict[str, list[nn.Parameter]] = {}
    taken: set[int] = set()
    named = {"id_embedding": id_embedding, "field_embedding": field_embedding, "fusion": fusion}
    for role, modules in {**named, "dense": (model,)}.items():
        roles[role] = []
        for module in modules:
            for parameter in module.parameters() if module is not None else ():
                if id(parameter) not in taken:
                    taken.add(id(parameter))
                    roles[role].append(parameter)
    return roles
