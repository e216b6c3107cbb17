"""What keeps a modality that is learned fast from leaving the others unlearned: OGM, GE and PMR."""

import torch
from torch import Tensor, nn

KEPT_SHARE = 0.9  # of a prototype, at each step
CLOSEST = 1e-6  # squared distance, below which its root has no slope


def mean_there(x: Tensor, there: Tensor) -> Tensor:
    """Mean over the rows that have each slot, 0 where none has: x [N, S] (or [N, S, F]), `there`
    [N, S] (or [N, S, 1]) to [S] (or [S, F])."""
    return x.masked_fill(~there, 0.0).sum(0) / there.sum(0).clamp(min=1)


def mean_of_others(x: Tensor) -> Tensor:
    """For each slot of x [S] the mean of the other slots [S]; a slot that is alone has itself."""
    return (x.sum() - x) / (len(x) - 1) if len(x) > 1 else x


def restraint(towers: Tensor, there: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """The factor that remains of each tower's gradient [S]; towers are logits [N, S], `there` their
    presence [N, S], labels [N]."""
    right = torch.where(labels.bool()[:, None], towers, -towers).sigmoid()
    mean = mean_there(right, there)  # [S]
    lead = mean / mean_of_others(mean).clamp(min=1e-6)
    return torch.where(lead > 1.0, 1.0 - (alpha * lead).tanh(), torch.ones_like(lead))


def with_noise(gradient: Tensor, there: Tensor, noise: float) -> Tensor:
    """Gradient [N, S] and normal noise of `noise` times its own deviation, by slot over the rows of
    `there` [N, S]; from torch's global generator."""
    squares = mean_there(gradient.square(), there)
    wide = (squares - mean_there(gradient, there).square()).clamp(min=0.0).sqrt()  # [S]
    drawn = torch.randn_like(gradient) * (noise * wide)
    return gradient + drawn.masked_fill(~there, 0.0)


class Prototypes(nn.Module):
    """Features [N, S, F], presence [N, S] and labels [N] to a loss []; learns by running means."""

    def __init__(self, slots: int, width: int) -> None:
        super().__init__()
        self.centres: Tensor
        self.begun: Tensor
        self.register_buffer("centres", torch.zeros(2, slots, width))
        self.register_buffer("begun", torch.zeros(2, slots, dtype=torch.bool))

    def forward(self, z: Tensor, there: Tensor, labels: Tensor) -> Tensor:
        """The loss []; in training the prototypes move first."""
        clicked = labels.bool()
        if self.training:
            self._move(z.detach(), there, clicked)
        distance = (z.unsqueeze(1) - self.centres.to(z.dtype)).square().sum(-1)  # [N, 2, S]
        log_p = (-distance.clamp(min=CLOSEST).sqrt()).log_softmax(1)
        of_label = torch.where(clicked[:, None], log_p[:, 1], log_p[:, 0])  # [N, S]
        right = mean_there(of_label.detach().exp(), there)  # [S]
        lag = (mean_of_others(right) / right.clamp(min=1e-6) - 1.0).clamp(0.0, 1.0)
        return (lag * self.begun.all(0) * -mean_there(of_label, there)).sum()

    def _move(self, z: Tensor, there: Tensor, clicked: Tensor) -> None:
        for k, of_class in enumerate((~clicked, clicked)):
            some = there & of_class[:, None]  # [N, S]
            mean = mean_there(z, some[..., None])  # [S, F]
            share = torch.where(self.begun[k], KEPT_SHARE, 0.0)
            share = torch.where(some.any(0), share, 1.0)[:, None]
            self.centres[k] = share * self.centres[k] + (1.0 - share) * mean
            self.begun[k] |= some.any(0)
