"""Assigns parameters to roles, by which the trainer decays them and the report counts them."""

from collections.abc import Iterable, Mapping

from torch import nn

BY_NAME: Mapping[str, tuple[str, ...]] = {  # role -> the modules whose parameters play it
    "id_embedding": ("ids",),
    "field_embedding": ("fields", "context", "side", "kinds"),
    "fusion": ("vectors", "slots", "operator"),
}


def roles_by_name(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The roles by the last words of the modules' paths; every other parameter is dense."""
    modules = list(model.named_modules())
    chosen = {
        role: [module for path, module in modules if path.rpartition(".")[2] in words]
        for role, words in BY_NAME.items()
    }
    return split_roles(model, **chosen)


def split_roles(
    model: nn.Module,
    *,
    id_embedding: Iterable[nn.Module | None] = (),
    field_embedding: Iterable[nn.Module | None] = (),
    fusion: Iterable[nn.Module | None] = (),
) -> dict[str, list[nn.Parameter]]:
    """Every parameter of `model` once; the first role that names its module wins, the rest is
    dense."""
    roles: dict[str, list[nn.Parameter]] = {}
    assigned: set[int] = set()
    by_role = {"id_embedding": id_embedding, "field_embedding": field_embedding, "fusion": fusion}
    for role, modules in {**by_role, "dense": (model,)}.items():
        roles[role] = []
        for module in modules:
            for parameter in module.parameters() if module is not None else ():
                if id(parameter) not in assigned:
                    assigned.add(id(parameter))
                    roles[role].append(parameter)
    return roles


def modality_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The parameters that serve one modality alone: those of the modules that the methods
    `of_modality` (names to modules) of a model and its parts name, each once."""
    parameters: dict[str, list[nn.Parameter]] = {}
    assigned: set[int] = set()
    for module in model.modules():
        of_modality = getattr(module, "of_modality", dict)
        for name, parts in of_modality().items():
            own = parameters.setdefault(name, [])
            for parameter in (parameter for part in parts for parameter in part.parameters()):
                if id(parameter) not in assigned:
                    assigned.add(id(parameter))
                    own.append(parameter)
    return parameters
