"""What the reconstructed task-2 winner reads, by recipe (V1 to V4, "learned"), and how it pools."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from fusefront.baselines.contract import ItemTable, Parts, Pooler, Schema
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.poolers.target_attention import TargetAttention
from fusefront.baselines.settings import one_of
from fusefront.baselines.slots import ItemSlots

RECIPES = ("V1", "V2", "V3", "V4", "learned")
ATTENTIONS = ("target_attention", "din")


@dataclass(frozen=True)
class SeedSettings:
    """`embedding` is both E and PCA's k: 64 + 64 = 128, as the challenge asks."""

    recipe: str = "V4"
    attention: str = "target_attention"
    heads: int = 4
    senet: bool = True
    embedding: int = 64
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0


def check_recipe(name: str, resolved: SeedSettings, modalities: tuple[str, ...]) -> None:
    """Raises a ValueError that says in a sentence what is wrong with the settings of `name`."""
    one_of(name, "recipe", resolved.recipe, RECIPES)
    one_of(name, "attention", resolved.attention, ATTENTIONS)
    if resolved.recipe in ("V1", "V2") and len(modalities) < int(resolved.recipe[1]):
        raise ValueError(
            f"{name}: recipe {resolved.recipe!r} needs {resolved.recipe[1]} modalities "
            f"and the data has {len(modalities)}; use 'V4'"
        )
    if resolved.attention == "target_attention" and resolved.embedding % resolved.heads:
        raise ValueError(
            f"{name}: 'heads' {resolved.heads} does not divide 'embedding' "
            f"{resolved.embedding}; choose a divisor"
        )


def slots_of(schema: Schema, items: ItemTable, settings: SeedSettings, parts: Parts) -> ItemSlots:
    """Tokens of id, item fields and the recipe's modalities, `embedding` wide each."""
    modalities, compressor = recipe_of(settings, tuple(schema.modalities))
    width = settings.embedding
    return ItemSlots(
        schema,
        items,
        parts,
        modalities=modalities,
        compressor=compressor,
        id_width=width,
        side_width=width,
        width=width,
        seed=torch.initial_seed(),
    )


def pooler_of(settings: SeedSettings, width: int) -> Pooler:
    """DIN's attention or a multi-head one over tokens side by side, `width` in all."""
    if settings.attention == "din":
        return DinPooler(width)
    return TargetAttention(width, heads=settings.heads)


def recipe_of(
    settings: SeedSettings, modalities: tuple[str, ...]
) -> tuple[tuple[str, ...], Mapping[str, object]]:
    """Which modalities, through which compressor."""
    pca: Mapping[str, object] = {"name": "pca", "k": settings.embedding, "whiten": False}
    recipes: dict[str, tuple[tuple[str, ...], Mapping[str, object]]] = {
        "V1": (modalities[:1], pca),
        "V2": (modalities[1:2], pca),
        "V3": (modalities, {**pca, "name": "pca_joint"}),
        "V4": (modalities, pca),
        "learned": (modalities, {"name": "none"}),
    }
    return recipes[settings.recipe]
