"""OneTrans, token by token, in float64."""

import torch

from fusefront.baselines.contract import gather

ROWS = [(0, 0), (1, 2), (2, 1), (3, 0), (5, 4)]  # full, short and empty histories


def normed(x, scale):
    return x / (x.square().mean() + 1e-6).sqrt() * scale


def attended(layer, views, index):
    """What the token `index` reads of itself and those before it."""
    out, width = [], views[0][0].shape[-1]
    for head in range(layer.heads):
        query = views[index][0][head]
        past = views[: index + 1]
        scores = torch.stack([query @ view[1][head] for view in past]) / width**0.5
        out.append(sum(w * view[2][head] for w, view in zip(scores.softmax(0), past, strict=True)))
    return torch.cat(out)


def by_token(model, history, fields):
    """The logit of one candidate: history [l, d] and fields [T, d], every token by itself."""
    tokens, length = [*history, *fields], len(history)
    for layer in model.layers:
        views = []
        for i, x in enumerate(tokens):
            x = normed(x, layer.scales[0 if i < length else 1])
            project = layer.past(x) if i < length else own(layer.own, i - length, x)
            views.append(project.view(3, layer.heads, -1))
        after = []
        for i, x in enumerate(tokens):
            mixed = attended(layer, views, i)
            if i < length:
                if layer.last:
                    after.append(x)
                    continue
                x = x + layer.past_out(mixed)
                x = x + layer.past_feed(normed(x, layer.scales[2]))
            else:
                t = i - length
                x = x + own(layer.own_out, t, mixed)
                inner = own(layer.own_in, t, normed(x, layer.scales[3])).relu()
                x = x + own(layer.own_feed, t, inner)
            after.append(x)
        tokens = after
    return model.out(torch.cat(tokens[length:]))[0]


def own(linear, t, x):
    return x @ linear.weight[t] + linear.bias[t, 0]


def test_a_logit_is_that_of_every_token_by_itself(scene):
    model = scene.build("one_trans", {"embedding": 4, "feed": 6, "layers": 3}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        model.tokens.ids.weight[0] = 0.0
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        request = gather(codes, scene.batch, scene.batch.items)
        logits = model.score(request, scene.batch.rows).logits
        fields = model.tokens(request).unflatten(-1, (-1, 4))
        for r, k in ROWS:
            history = request.history.values[r][request.history_mask[r]]
            torch.testing.assert_close(logits[r, k], by_token(model, history, fields[r, k]))


def test_every_layer_is_learned_whole(scene):
    """The last one has no weights for a history that nobody reads."""
    model = scene.build("one_trans", {"embedding": 4, "feed": 6, "layers": 2}).train()
    assert [layer.last for layer in model.layers] == [False, True]
    model.losses(scene.batch).click.backward()
    for name, parameter in model.layers.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
