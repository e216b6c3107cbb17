"""Control: one modality alone, no id, no operator. What fusion has to beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fusefront.baselines.contract import Schema
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.settings import one_of


@dataclass(frozen=True)
class UnimodalSettings(ComposedSettings):
    """`modality` names the one that is used; empty = the first."""

    modality: str = ""
    use_id: bool = False
    side_width: int = 0


class Unimodal(Composed):
    """One modality through the same pooler and head as the families."""

    name: ClassVar[str] = "unimodal"
    family = "control"
    Settings: ClassVar[type[ComposedSettings]] = UnimodalSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning", "operator", "modalities")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        key: values for key, values in Composed.choices.items() if key != "id_width"
    }

    @classmethod
    def forced(cls, schema: Schema, settings: Mapping[str, object]) -> Mapping[str, object]:
        """The first modality unless one is named."""
        modality = settings.get("modality") or next(iter(schema.modalities), "")
        one_of(cls.name, "modality", str(modality), tuple(schema.modalities))
        return {"modality": modality, "modalities": [modality]}
