"""Generated batches at the shape of the MMCTR challenge, and its numbers."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fusefront.baselines.contract import Context, Field, ItemTable, RequestBatch, Schema

ITEMS, HISTORY, EXPONENT = 91_718, 64, 1.1
WIDTHS = {"text": 128, "image": 128}


def generated_log(
    rows: int,
    batches: int,
    *,
    items: int = ITEMS,
    widths: Mapping[str, int] = WIDTHS,  # numbers of each modality
) -> tuple[Schema, ItemTable, list[RequestBatch]]:
    """The challenge's shape: items by a power law, histories of 26 to 64 (mean 45), K = 1."""
    g = torch.Generator().manual_seed(0)
    schema = Schema(
        items,
        dict(widths),
        (Field("tags", 11_000, 5),),
        0,
        (),
        0,
        (Field("likes", 11), Field("views", 11)),
        0,
        HISTORY,
    )
    present = torch.ones(items + 1, len(widths), dtype=torch.bool)
    present[0] = False
    vectors = {name: torch.randn(items + 1, wide, generator=g) for name, wide in widths.items()}
    tags = torch.randint(0, 11_000, (items + 1, 5), generator=g)
    shown = torch.ones(items + 1, dtype=torch.long)
    table = ItemTable(
        vectors, present, tags, torch.zeros(items + 1, 0), present[:, 0].clone(), shown, shown
    )
    weight = torch.arange(1, items + 1, dtype=torch.float64).pow(-EXPONENT)

    def drawn(*shape: int) -> Tensor:
        count = int(torch.tensor(shape).prod())
        return torch.multinomial(weight, count, replacement=True, generator=g).view(shape) + 1

    log = []
    for _ in range(batches):
        length = torch.randint(26, 65, (rows, 1), generator=g)
        mask = torch.arange(HISTORY) >= HISTORY - length
        ids = torch.cat([drawn(rows, HISTORY) * mask, drawn(rows, 1)], 1)
        distinct, place = torch.unique(
            torch.cat([torch.zeros(1).long(), ids.flatten()]), return_inverse=True
        )
        place = place[1:].view(ids.shape)
        candidate = Context(
            torch.randint(0, 11, (rows, 1, 2), generator=g), torch.zeros(rows, 1, 0)
        )
        log.append(
            RequestBatch(
                distinct,
                place[:, :-1],
                mask,
                place[:, -1:],
                torch.ones(rows, 1, dtype=torch.bool),
                torch.arange(rows),
                Context(torch.zeros(rows, 0).long(), torch.zeros(rows, 0)),
                candidate,
                torch.randint(0, 2, (rows, 1), generator=g).float(),
                torch.arange(rows).view(rows, 1),
                torch.arange(rows),
            )
        )
    return schema, table, log
