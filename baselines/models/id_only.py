"""Control: the item's id embedding alone, no content. What content has to beat."""

from dataclasses import dataclass
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings


@dataclass(frozen=True)
class IdSettings(ComposedSettings):
    """The composed settings without modalities and with a wider id embedding."""

    modalities: tuple[str, ...] | str = ()
    id_width: int = 16
    side_width: int = 0


class IdOnly(Composed):
    """Ids through the same pooler and head as the families."""

    name: ClassVar[str] = "id_only"
    family = "control"
    Settings: ClassVar[type[ComposedSettings]] = IdSettings
    fixed: ClassVar[tuple[str, ...]] = (
        "placement",
        "conditioning",
        "operator",
        "modalities",
        "use_id",
        "compressor",
    )
    choices = {key: Composed.choices[key] for key in ("id_width", "head.hidden", "head.dropout")}  # noqa: RUF012
