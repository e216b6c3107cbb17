"""Whether a trained model reads histories by content search alone, and what it searches by."""

from fusefront.baselines.contract import Baseline, ItemCodes, kinds_in
from fusefront.baselines.placements.item import ItemPlacement
from fusefront.baselines.poolers.content_search import ContentSearch
from fusefront.harness.serving.export.searched import SearchAhead


def search_of(model: Baseline, codes: ItemCodes) -> SearchAhead | None:
    """The columns of the codes that the graph compares; None where something else of a history is
    read, too, where each slot searches for itself, or where kinds of events are told apart."""
    placement = getattr(model, "placement", None)
    if not isinstance(placement, ItemPlacement) or placement.target_aware or kinds_in(codes) > 1:
        return None
    pooler = next(iter(placement.streams.poolers), None)
    if not isinstance(pooler, ContentSearch):
        return None
    start = 2 * pooler.width + (pooler.content if pooler.bits else 0)
    ways = codes.history.values[:, start:].detach().float().numpy()
    return SearchAhead(ways, codes.history.present[:, 0].numpy(), pooler.nearest)
