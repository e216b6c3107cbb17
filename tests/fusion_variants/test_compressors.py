"""Every compressor: shapes, presence, seeds, saved state; and each against independent
mathematics."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from fusefront.fusion_variants.clusters import collision_rate, k_means, usage
from fusefront.fusion_variants.compressors.matryoshka import narrowed
from fusefront.fusion_variants.zoo import COMPRESSORS
from fusefront.harness.testing import check_compressor

WIDTH = 12
SMALL = {
    "none": {},
    "pca": {"k": 4},
    "pca_joint": {"k": 4},
    "random_projection": {"k": 4},
    "bottleneck": {"k": 4, "weight": 0.1},
    "bottleneck_pretrained": {"k": 4, "hidden": 16, "epochs": 2},
    "matryoshka": {"k": 8, "least": 2},
    "rq": {"k": 4, "levels": 2, "codes": 16},
    "qarm": {"k": 4, "levels": 2, "codes": 16},
    "psrq": {"k": 4, "levels": 2, "codes": 16},
    "vq": {"k": 4, "parts": 2, "codes": 16},
    "int8": {},
    "float16": {},
}


def rows(n=200, seed=0):
    """Correlated rows with a mean and very different scales."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(WIDTH, WIDTH, generator=generator)
    return torch.randn(n, WIDTH, generator=generator) @ mix * torch.linspace(3, 0.2, WIDTH) + 1.0


def fitted(name, seed=0):
    torch.manual_seed(1)
    compressor = COMPRESSORS[name](WIDTH, **SMALL[name])
    return compressor, compressor.fit(rows(), seed)


def present(*shape):
    return torch.ones(shape, dtype=torch.bool)


def test_every_compressor_is_tried():
    assert set(SMALL) == set(COMPRESSORS)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_compressor_keeps_the_contract(name):
    check_compressor(COMPRESSORS[name], width=WIDTH, choices=SMALL[name], export=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_compressor_gives_the_same_numbers_in_onnx_runtime(name):
    check_compressor(COMPRESSORS[name], width=WIDTH, choices=SMALL[name])


@pytest.mark.parametrize("whiten", [False, True])
def test_pca_equals_scikit_learn(whiten):
    data = rows(300)
    compressor = COMPRESSORS["pca"](WIDTH, k=5, whiten=whiten)
    report = compressor.fit(data, 0)
    reference = PCA(5, whiten=whiten, svd_solver="full").fit(data.double().numpy())
    expected = reference.transform(rows(40, seed=3).double().numpy())
    actual = compressor.transform(rows(40, seed=3)).double().numpy()
    signs = np.sign((expected * actual).sum(0))
    np.testing.assert_allclose(actual * signs, expected, rtol=1e-3, atol=2e-4)
    share = reference.explained_variance_ratio_.sum()
    assert report.numbers["explained_variance"] == pytest.approx(share, rel=1e-6)


def test_joint_pca_fills_a_missing_modality_with_the_mean():
    data = rows(300)
    gaps = data.clone()
    gaps[:60, :5] = torch.nan
    gaps[60:90, 5:] = torch.nan
    compressor = COMPRESSORS["pca_joint"](WIDTH, k=4, whiten=False)
    compressor.fit(gaps, 0)
    filled = gaps.double().numpy()
    filled = np.where(np.isnan(filled), np.nanmean(filled, 0), filled)
    reference = PCA(4, svd_solver="full").fit(filled)
    actual, expected = compressor.transform(gaps).double().numpy(), reference.transform(filled)
    signs = np.sign((expected * actual).sum(0))
    np.testing.assert_allclose(actual * signs, expected, rtol=1e-3, atol=2e-4)
    assert compressor.joint


@pytest.mark.parametrize("k", [0, 13])
def test_pca_refuses_a_width_it_cannot_have(k):
    with pytest.raises(ValueError, match=f"pca: k is {k}; expected 1 to the vectors' width 12"):
        COMPRESSORS["pca"](WIDTH, k=k)


def test_pca_refuses_fewer_items_than_components():
    with pytest.raises(ValueError, match="pca: 4 items have this modality in train; expected more"):
        COMPRESSORS["pca"](WIDTH, k=4).fit(rows(4), 0)


@pytest.mark.parametrize("name", ["rq", "vq"])
def test_codes_refuse_fewer_items_than_centres(name):
    with pytest.raises(ValueError, match=f"{name}: 9 items .* expected at least codes = 16"):
        COMPRESSORS[name](WIDTH, **SMALL[name]).fit(rows(9), 0)


def test_random_projection_nearly_keeps_distances():
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(60, 400, generator=generator) + 5.0
    compressor = COMPRESSORS["random_projection"](400, k=200)
    compressor.fit(data, 3)
    ratio = torch.pdist(compressor.transform(data)) / torch.pdist(data)
    assert abs(float(ratio.mean()) - 1.0) < 0.03
    assert float((ratio - 1.0).abs().max()) < 0.25
    other = COMPRESSORS["random_projection"](400, k=200)
    other.fit(data, 4)
    assert not torch.equal(other.directions, compressor.directions)


def test_bottleneck_loss_is_the_relative_error_of_the_vector_it_gives_back():
    compressor, _ = fitted("bottleneck")
    data, there = rows(8), torch.tensor([True] * 5 + [False] * 3)
    x, loss = compressor.train()(data, there)
    weight, bias = compressor.encode.weight.detach().double(), compressor.encode.bias.detach()
    code = data[:5].double() @ weight.T + bias
    back = code @ compressor.decode.weight.detach().double().T + compressor.decode.bias.detach()
    expected = 0.1 * ((back - data[:5]) ** 2).sum() / (data[:5].double() ** 2).sum()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    torch.testing.assert_close(x[:5].detach().double(), code, rtol=1e-5, atol=1e-5)


def test_pretrained_bottleneck_follows_a_curve_that_pca_cannot():
    angle = torch.rand(2000, 1, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
    curve = torch.cat([f(n * angle) for n in (1, 2) for f in (torch.sin, torch.cos)], 1)
    data = curve @ torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(1))
    compressor = COMPRESSORS["bottleneck_pretrained"](WIDTH, k=2, hidden=64, epochs=40)
    curved = compressor.fit(data, 0).numbers["explained_variance"]
    straight = COMPRESSORS["pca"](WIDTH, k=2).fit(data, 0).numbers["explained_variance"]
    assert curved > straight + 0.1


def test_matryoshka_trains_every_prefix_and_narrows_to_one():
    torch.manual_seed(0)
    compressor = COMPRESSORS["matryoshka"](WIDTH, k=8, least=2)
    assert compressor.prefixes == [8, 4, 2]
    data = rows(300)
    whole = compressor.eval()(data, present(300))[0].detach()
    drawn = compressor.train()(data, present(300))[0].detach()
    widths = (drawn != 0).sum(-1)
    assert sorted(set(widths.tolist())) == [2, 4, 8]
    for row, width in enumerate(widths.tolist()):
        torch.testing.assert_close(drawn[row, :width], whole[row, :width])
    above = torch.nn.Linear(8, 3)
    compressor.eval().narrow(4)
    code = compressor(data, present(300))[0]
    assert code.shape == (300, 4)
    assert compressor.width_out == 4
    cut = whole.clone()
    cut[:, 4:] = 0.0
    torch.testing.assert_close(narrowed(above, 4)(code), above(cut))


def test_matryoshka_refuses_a_prefix_it_was_not_trained_for():
    with pytest.raises(ValueError, match="not trained for prefix 5; trained: 8, 4, 2"):
        COMPRESSORS["matryoshka"](WIDTH, k=8, least=2).narrow(5)


def test_one_matryoshka_training_orders_the_prefixes_by_what_they_keep():
    """Planted: 6 directions of falling strength; the target is the vector itself."""
    torch.manual_seed(0)
    strength = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25])
    compressor = COMPRESSORS["matryoshka"](6, k=4, least=1).train()
    above = torch.nn.Linear(4, 6)
    optimiser = torch.optim.Adam([*compressor.parameters(), *above.parameters()], lr=1e-2)
    for _ in range(600):
        data = torch.randn(128, 6) * strength
        loss = (above(compressor(data, present(128))[0]) - data).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    data, errors = torch.randn(2000, 6) * strength, []
    compressor.eval()
    for prefix in (4, 2, 1):
        compressor.narrow(prefix)
        back = narrowed(above, prefix)(compressor(data, present(2000))[0])
        errors.append(float((back - data).detach().square().sum() / data.square().sum()))
    best = [1.0 - float((strength**2)[:p].sum() / (strength**2).sum()) for p in (4, 2, 1)]
    assert errors[0] < errors[1] < errors[2]
    assert all(error < floor + 0.08 for error, floor in zip(errors, best, strict=True))


def test_rq_codes_are_the_nearest_centre_of_what_is_left():
    compressor, report = fitted("rq")
    data = rows(30, seed=4)
    codes = compressor.transform(data)
    assert codes.dtype == torch.int64
    centres = compressor.centres.double().numpy()
    for row, code in zip(data.double().numpy(), codes.tolist(), strict=True):
        rest = row - compressor.mean.double().numpy()
        for level in range(2):
            distance = [float(((rest - centre) ** 2).sum()) for centre in centres[level]]
            assert code[level] == int(np.argmin(distance))
            rest = rest - centres[level][code[level]]
    table = compressor.table.weight.detach()
    expected = torch.stack([table[a] + table[16 + b] for a, b in codes.tolist()])
    torch.testing.assert_close(compressor(codes, present(30))[0].detach(), expected)
    assert 0.3 < report.numbers["explained_variance"] < 1.0


def test_qarm_codes_are_of_the_direction_and_lie_side_by_side():
    compressor, report = fitted("qarm")
    data = rows(30, seed=4)
    codes = compressor.transform(data)
    assert torch.equal(compressor.transform(7.0 * data), codes)  # lengths say nothing
    plain = COMPRESSORS["rq"](WIDTH, **SMALL["rq"])
    plain.fit(rows() / rows().norm(dim=-1, keepdim=True), 0)
    assert torch.equal(plain.transform(data / data.norm(dim=-1, keepdim=True)), codes)
    table = compressor.table.weight.detach()
    expected = torch.stack([torch.cat([table[a], table[16 + b]]) for a, b in codes.tolist()])
    x, _ = compressor(codes, present(30))
    torch.testing.assert_close(x.detach(), expected)
    assert x.shape[-1] == compressor.width_out == 8
    assert not compressor(codes, ~present(30))[0].any()
    assert 0.2 < report.numbers["explained_variance"] < 1.0


def test_psrq_codes_are_nearest_to_what_is_left_and_to_what_was_said():
    torch.manual_seed(1)
    compressor = COMPRESSORS["psrq"](WIDTH, k=3, levels=3, codes=8)
    report = compressor.fit(rows(), 0)
    data = rows(30, seed=4)
    codes = compressor.transform(data)
    centres, left = compressor.centres.double().numpy(), 0.0
    for row, code in zip(data.double().numpy(), codes.tolist(), strict=True):
        rest = row - compressor.mean.double().numpy()
        whole = rest
        for level in range(3):
            both = np.concatenate([rest, whole - rest])
            distance = [float(((both - centre) ** 2).sum()) for centre in centres[level]]
            assert code[level] == int(np.argmin(distance))
            rest = rest - centres[level][code[level]][:WIDTH]
    table = compressor.table.weight.detach()
    expected = [torch.cat([table[a], table[8 + b], table[16 + c]]) for a, b, c in codes.tolist()]
    x, _ = compressor(codes, present(30))
    torch.testing.assert_close(x.detach(), torch.stack(expected))
    assert x.shape[-1] == compressor.width_out == 9
    assert not compressor(codes, ~present(30))[0].any()
    for row, code in zip(rows().double().numpy(), compressor.transform(rows()), strict=True):
        rest = row - compressor.mean.double().numpy()
        for level in range(3):
            rest = rest - centres[level][code[level]][:WIDTH]
        left += float((rest**2).sum())
    spread = float(((rows().double() - rows().double().mean(0)) ** 2).sum())
    assert report.numbers["explained_variance"] == pytest.approx(1.0 - left / spread, rel=1e-4)


def test_a_later_code_of_psrq_still_tells_what_the_item_is():
    """Planted: eight far groups, within each the same two shifts. A shift of `rq` is of any group,
    its second code knows the shift alone; that of `psrq` knows the group."""
    generator = torch.Generator().manual_seed(2)
    centre = 4.0 * torch.randn(8, WIDTH, generator=generator)
    shift = torch.randn(2, WIDTH, generator=generator)
    group, kind = (torch.randint(0, n, (600,), generator=generator) for n in (8, 2))
    data = centre[group] + shift[kind] + 0.05 * torch.randn(600, WIDTH, generator=generator)

    def known(name, truth):
        """Share of items whose group or shift is the most frequent one of their last code."""
        compressor = COMPRESSORS[name](WIDTH, k=4, levels=2, codes=8)
        compressor.fit(data, 0)
        code = compressor.transform(data)[:, -1]
        table = torch.zeros(8, int(truth.max()) + 1).index_put_(
            (code, truth), torch.ones(600), accumulate=True
        )
        return float(table.max(1).values.sum()) / 600

    assert known("psrq", group) > 0.9
    assert known("rq", group) < 0.5
    assert known("rq", kind) > 0.9


def test_more_rq_levels_leave_less():
    reports = [
        COMPRESSORS["rq"](WIDTH, k=4, levels=levels, codes=16).fit(rows(400), 0).numbers
        for levels in (1, 2, 3)
    ]
    shares = [numbers["explained_variance"] for numbers in reports]
    collisions = [numbers["collision_rate"] for numbers in reports]
    assert shares == sorted(shares)
    assert collisions == sorted(collisions, reverse=True)


def test_use_perplexity_and_collisions_count_codes():
    code = torch.tensor([0, 0, 1, 1, 2, 2, 2, 2])
    used, perplexity = usage(code, 6)
    share = np.array([2, 2, 4]) / 8
    assert used == 0.5
    assert perplexity == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert usage(torch.arange(6), 6) == (1.0, pytest.approx(6.0))
    assert collision_rate(torch.tensor([[0, 1], [0, 1], [0, 2], [3, 3], [4, 1]])) == 0.4


def test_k_means_is_as_good_as_scikit_learn():
    data = rows(600)
    centres = k_means(data, 12, torch.Generator().manual_seed(0), rounds=50)
    ours = float(torch.cdist(data, centres).min(-1).values.square().sum())
    reference = KMeans(12, n_init=1, random_state=0).fit(data.numpy()).inertia_
    assert ours < 1.1 * reference


def test_k_means_of_few_distinct_rows_is_finite():
    data = torch.ones(40, 3)
    assert bool(k_means(data, 8, torch.Generator().manual_seed(0)).isfinite().all())


def test_vq_takes_the_nearest_code_of_each_piece_and_passes_the_gradient_straight():
    compressor, _ = fitted("vq")
    data, there = rows(20, seed=4), torch.arange(20) < 15
    z = compressor.encode(data).detach()
    x, loss = compressor.train()(data, there)
    moved, target = 0.0, np.zeros((20, 4))
    for row in range(15):
        for part in range(2):
            piece = z[row, 2 * part : 2 * part + 2].double().numpy()
            book = compressor.book[part].detach().double().numpy()
            nearest = book[int(np.argmin(((book - piece) ** 2).sum(-1)))]
            target[row, 2 * part : 2 * part + 2] = nearest
            moved += float(((nearest - piece) ** 2).sum())
    np.testing.assert_allclose(x.detach().numpy(), target, rtol=1e-5, atol=1e-5)
    assert float(loss.detach()) == pytest.approx(1.25 * moved / (15 * 4), rel=1e-4)
    upstream = torch.randn(20, 4)
    (x * upstream).sum().backward()
    expected = (upstream * there.unsqueeze(-1)).T @ data
    torch.testing.assert_close(compressor.encode.weight.grad, expected, rtol=1e-4, atol=1e-4)


def test_int8_rows_are_within_half_a_step_in_a_quarter_of_the_bytes():
    compressor, report = fitted("int8")
    data = rows(100) * torch.logspace(-6, 6, 100).unsqueeze(-1)
    data[3] = 0.0
    table = compressor.transform(data)
    assert table.dtype == torch.int8
    back = compressor(table, present(100))[0]
    step = data.abs().amax(-1, keepdim=True) / 127.0 * (1.0 + 1.0 / 128.0)
    assert bool(((back - data).abs() <= 0.5001 * step).all())
    assert not bool(back[3].any())
    assert report.numbers["bytes_per_item"] == table.shape[1] == WIDTH + 2
    assert report.numbers["relative_error"] < 0.01


def test_float16_rows_keep_eleven_bits_and_cut_what_is_too_large():
    compressor, report = fitted("float16")
    data = rows(100)
    back = compressor(compressor.transform(data), present(100))[0]
    np.testing.assert_array_equal(back.numpy(), data.numpy().astype(np.float16).astype(np.float32))
    assert float(compressor.transform(torch.full((1, WIDTH), 1e9))[0, 0]) == 65504.0
    assert report.numbers["relative_error"] < 2.0**-11
