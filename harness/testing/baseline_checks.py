"""Promises of a whole model about its scores; each is a function that raises a ContractError, its
breach."""

from dataclasses import replace

import torch
from torch import Tensor

from fusefront.baselines.contract import Context, RequestBatch, Rows, gather
from fusefront.harness.testing.module_checks import check_equal
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    FiniteError,
    GroupingError,
    PaddingError,
    PresenceError,
    SplitError,
)
from fusefront.harness.testing.scene import as_rows
from fusefront.harness.testing.subject import Subject, encoded, logits_of

REDRAWS = 16  # redraws of a history; a row whose score never moves ignores it
LEAST_CHANGE = 1e-9  # of a logit


def check_split(subject: Subject) -> None:
    """Scores from the table of item codes equal those of encoding and scoring at once."""
    model = subject.model().eval()
    with torch.no_grad():
        whole = model.losses(subject.scene.batch).logits.flatten()[subject.scene.batch.rows]
    broken = SplitError(
        f"{subject.label}: scored from the code table a candidate gets another logit than encoded "
        "and scored at once; let `score` read the codes and the request alone"
    )
    check_equal(logits_of(model, subject.scene), whole, broken, rtol=0.0, atol=1e-10)


def check_grouping(subject: Subject) -> None:
    """K candidates of one request train as K requests of one row do: equal logits, losses and
    gradients."""
    grouped, rows = (
        _step(subject, batch) for batch in (subject.scene.batch, as_rows(subject.scene.batch))
    )
    for what, a, b in zip(("logits", "loss", "gradients"), grouped, rows, strict=True):
        broken = GroupingError(
            f"{subject.label}: {what} of K candidates of a request differ from those of K "
            "separate rows; score the real candidates alone (`rows`) and draw what is random for "
            "items, not for rows"
        )
        check_equal(a, b, broken, rtol=1e-9, atol=1e-10)


def _step(subject: Subject, batch: RequestBatch) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    model = subject.model().train()
    torch.manual_seed(3)  # random draws of training are made for distinct items
    losses = model.losses(batch)
    torch.autograd.backward(losses.click + losses.auxiliary)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return losses.logits.flatten()[batch.rows], [losses.click, losses.auxiliary], gradients


def check_padding(subject: Subject) -> None:
    """The items in padded places of histories and candidates change nothing."""
    model, batch = subject.model(), subject.scene.batch
    other = batch._replace(
        history=torch.where(batch.history_mask, batch.history, 7),
        candidates=torch.where(batch.candidate_mask, batch.candidates, 9),
    )
    broken = PaddingError(
        f"{subject.label}: what stands in padded places changes the scores of real candidates; use "
        "`history_mask` before anything is summed"
    )
    before = logits_of(model, subject.scene)
    check_equal(logits_of(model, subject.scene, other), before, broken, rtol=0.0, atol=1e-12)


def check_history(subject: Subject) -> None:
    """Real history items change the score of every candidate; padded places change nothing."""
    model, batch = subject.model(), subject.scene.batch
    before = logits_of(model, subject.scene)
    generator = torch.Generator().manual_seed(1)
    moved = torch.zeros(len(before), dtype=torch.bool)
    for _ in range(REDRAWS):
        drawn = torch.randint(1, len(batch.items), batch.history.shape, generator=generator)
        history = torch.where(batch.history_mask, drawn, batch.history)
        after = logits_of(model, subject.scene, batch._replace(history=history))
        moved |= (after - before).abs() > LEAST_CHANGE
    empty = (batch.history_mask.sum(-1) == 0)[batch.rows // batch.candidates.shape[1]]
    if bool(moved[empty].any()):
        raise PaddingError(f"{subject.label}: an empty history changes the scores")
    if not model.reads_history and bool(moved.any()):
        raise ContentError(f"{subject.label}: `reads_history` is False and the history counts")
    if model.reads_history and not bool(moved[~empty].all()):
        raise ContentError(
            f"{subject.label}: other items in the history leave {int((~moved[~empty]).sum())} of "
            f"{int((~empty).sum())} scores as they are; set `reads_history = False` if none is read"
        )


def check_presence(subject: Subject) -> None:
    """The vector of an absent modality changes nothing, neither when building nor when scoring."""
    scene = subject.scene
    vectors = {
        name: rows.masked_fill(~scene.items.present[:, [m]], torch.nan)
        for m, (name, rows) in enumerate(scene.items.vectors.items())
    }
    noisy = scene._replace(items=scene.items._replace(vectors=vectors))
    clean, same = (logits_of(subject.build(s, 0), s) for s in (scene, noisy))
    if not bool(clean.isfinite().all()):
        raise FiniteError(f"{subject.label}: scores are not finite")
    broken = PresenceError(
        f"{subject.label}: NaN in the vector of an absent modality changes the scores; clear the "
        "vectors with masked_fill where `items.present` is False (0 * NaN is NaN)"
    )
    check_equal(same, clean, broken, rtol=0.0, atol=0.0)
    clean_step, noisy_step = (_step(replace(subject, scene=s), s.batch)[2] for s in (scene, noisy))
    broken = PresenceError(
        f"{subject.label}: NaN in the vector of an absent modality reaches the gradients; clear "
        "the vectors before any layer (0 * NaN is NaN)"
    )
    check_equal(noisy_step, clean_step, broken, rtol=0.0, atol=0.0)


def check_keep(subject: Subject) -> None:
    """A modality that `keep` switches off counts as absent."""
    model, scene = subject.model(), subject.scene
    everything = encoded(model, scene)
    broken = PresenceError(f"{subject.label}: `keep` of what is present changes the codes")
    check_equal(encoded(model, scene, scene.items.present.clone()), everything, broken)
    nothing = encoded(model, scene, torch.zeros(scene.items.present.shape[1], dtype=torch.bool))
    if not all(bool(rows.values.isfinite().all()) for rows in nothing):
        raise FiniteError(f"{subject.label}: codes of items without any modality are not finite")
    if _reads_vectors(subject) and all(
        torch.equal(a.values, b.values) for a, b in zip(nothing, everything, strict=True)
    ):
        raise PresenceError(
            f"{subject.label}: `keep` has no effect, so hiding a modality hides nothing; "
            "treat what it leaves out as absent"
        )


def _reads_vectors(subject: Subject) -> bool:
    items = subject.scene.items
    dealt = torch.cat(
        [torch.zeros(1, dtype=torch.long), torch.arange(1, len(items.present)).roll(1)]
    )
    vectors = {name: rows[dealt] for name, rows in items.vectors.items()}
    others = items._replace(vectors=vectors, present=items.present[dealt])
    scene = subject.scene._replace(items=others)
    codes = (encoded(subject.build(s, 0), s) for s in (subject.scene, scene))
    return any(not torch.equal(a.values, b.values) for a, b in zip(*codes, strict=True))


def check_batch(subject: Subject) -> None:
    """A request's scores do not depend on the other requests of the batch or on their order."""
    model, batch = subject.model(), subject.scene.batch
    request = gather(encoded(model, subject.scene), batch, batch.items)
    with torch.no_grad():
        whole = model.score(request).logits
        for chosen in (torch.tensor([3]), torch.tensor([4, 2, 0]), torch.arange(5, -1, -1)):
            part = type(request)(
                Rows(*(x[chosen] for x in request.history)),
                request.history_mask[chosen],
                Rows(*(x[chosen] for x in request.candidates)),
                Context(*(x[chosen] for x in request.request_context)),
                Context(*(x[chosen] for x in request.candidate_context)),
            )
            broken = BatchError(
                f"{subject.label}: scored with {len(chosen)} requests a candidate gets another "
                f"logit than with {len(whole)}; use no statistics of the batch in eval mode"
            )
            check_equal(model.score(part).logits, whole[chosen], broken, rtol=0.0, atol=1e-10)
