"""A search made ahead of the request gives what the search within it gives."""

import pytest
import torch

from fusefront.baselines.poolers.content_search import ContentSearch
from fusefront.baselines.poolers.search_index import NOBODY, HistoryIndex
from fusefront.fusion_variants.clusters import k_means

WIDTH, ITEMS, LENGTHS = 8, 40, (25, 7, 3)  # of three histories, padded on the left


@pytest.fixture(scope="module")
def world():
    generator = torch.Generator().manual_seed(5)
    items = torch.randn(ITEMS, WIDTH, generator=generator).double()
    longest = max(LENGTHS)
    history = torch.randint(0, ITEMS, (len(LENGTHS), longest), generator=generator)
    mask = torch.arange(longest) >= longest - torch.tensor(LENGTHS).unsqueeze(-1)
    candidates = torch.randint(0, ITEMS, (len(LENGTHS), 6), generator=generator)
    return items, history, mask, candidates


def tables(index, world):
    """A table a history over its real items, in places of the padded row."""
    items, history, mask, _ = world
    rows = []
    for row, real in zip(history, mask, strict=True):
        table = index.table(items[row[real]]).long()
        rows.append(torch.where(table >= 0, table + int((~real).sum()), table))
    return torch.stack(rows)


@pytest.mark.parametrize("nearest", [1, 5, 10])
def test_an_exact_index_gives_what_the_search_in_the_request_gives(world, nearest):
    items, history, mask, candidates = world
    pooler = ContentSearch(WIDTH, heads=2, nearest=nearest).double()
    index = HistoryIndex.exact(items, nearest)
    place = index.places(tables(index, world), candidates)
    asks, codes = (
        pooler.prepare_target(items[candidates]),
        pooler.prepare_history(items[history]),
    )
    out = pooler.read(asks, codes, place.clamp(min=0), place >= 0)
    torch.testing.assert_close(out, pooler(asks, codes, mask))


def test_places_are_those_that_a_loop_finds(world):
    items, history, mask, candidates = world
    index = HistoryIndex.exact(items * 3.0, 5)  # lengths say nothing
    places = index.places(tables(index, world), candidates)
    for row in range(len(LENGTHS)):
        real = [at for at in range(mask.shape[1]) if mask[row, at]]
        for column, item in enumerate(candidates[row].tolist()):
            cosine = {
                at: float(torch.cosine_similarity(items[item], items[history[row, at]], 0))
                for at in real
            }
            best = sorted(real, key=lambda at: (-round(cosine[at], 9), -at))[:5]
            assert places[row, column].tolist() == best + [NOBODY] * (5 - len(best))


def test_a_quantised_index_searches_as_its_centres_do(world):
    items, _, _, candidates = world
    centres = k_means(items, 6, torch.Generator().manual_seed(1))
    index = HistoryIndex.quantised(items, centres, 4)
    rows = tables(index, world)
    assert rows.shape == (len(LENGTHS), 6, 4)
    places = index.places(rows, candidates)
    expected = tables(HistoryIndex.exact(centres, 4), world)
    for row in range(len(LENGTHS)):
        for column, item in enumerate(candidates[row].tolist()):
            key = int(torch.cosine_similarity(items[item], centres, -1).argmax())
            assert places[row, column].tolist() == expected[row, key].tolist()


def test_as_many_centres_as_items_lose_nothing(world):
    items = world[0]
    exact = HistoryIndex.exact(items, 5)
    index = HistoryIndex.quantised(items, items * 2.0, 5)
    assert torch.equal(tables(index, world), tables(exact, world))
    assert index.key_of.tolist() == list(range(ITEMS))


@pytest.mark.parametrize(("keys", "nearest"), [(0, 3), (4, 0)])
def test_an_index_of_nothing_is_refused(keys, nearest):
    with pytest.raises(ValueError, match=f"got {keys} keys and nearest {nearest}, expected"):
        HistoryIndex(torch.ones(keys, 3), torch.zeros(2, dtype=torch.long), nearest)
