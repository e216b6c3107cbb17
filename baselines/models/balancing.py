"""What keeps a modality that is learned fast from leaving the others unlearned: OGM, GE and PMR."""

import torch
from torch import Tensor, nn

KEPT_SHARE = 0.9  # of a prototype, at each step
CLOSEST = 1e-6  # squared distance, below which its root has no slope


def restraint(towers: Tensor, there: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """The factor that remains of each tower's gradient [S]; towers are logits [N, S], `there` their
    presence [N, S], labels [N]."""
    right = torch.where(labels.unsqueeze(-1) > 0.5, towers, -towers).sigmoid()
    mean = right.masked_fill(~there, 0.0).sum(0) / there.sum(0).clamp(min=1)  # [S]
    others = (mean.sum() - mean) / max(1, len(mean) - 1)
    lead = mean / others.clamp(min=1e-6)
    return torch.where(lead > 1.0, 1.0 - (alpha * lead).tanh(), torch.ones_like(lead))


def with_noise(gradient: Tensor, there: Tensor, noise: float) -> Tensor:
    """Gradient [N, S] and normal noise of `noise` times its own deviation, by slot over the rows of
    `there` [N, S]; from torch's global generator."""
    count = there.sum(0).clamp(min=1)
    real = gradient.masked_fill(~there, 0.0)
    mean = real.sum(0) / count
    wide = (real.square().sum(0) / count - mean.square()).clamp(min=0.0).sqrt()  # [S]
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
        clicked = labels > 0.5
        if self.training:
            self._move(z.detach(), there, clicked)
        distance = (z.unsqueeze(1) - self.centres.to(z.dtype)).square().sum(-1)  # [N, 2, S]
        log_p = (-distance.clamp(min=CLOSEST).sqrt()).log_softmax(1)
        of_label = torch.where(clicked.unsqueeze(-1), log_p[:, 1], log_p[:, 0])  # [N, S]
        count = there.sum(0).clamp(min=1)
        right = of_label.detach().exp().masked_fill(~there, 0.0).sum(0) / count  # [S]
        others = (right.sum() - right) / max(1, len(right) - 1)
        lag = (others / right.clamp(min=1e-6) - 1.0).clamp(0.0, 1.0)
        apart = -of_label.masked_fill(~there, 0.0).sum(0) / count
        return (lag * self.begun.all(0) * apart).sum()

    def _move(self, z: Tensor, there: Tensor, clicked: Tensor) -> None:
        for k, of_class in enumerate((~clicked, clicked)):
            some = (there & of_class.unsqueeze(1)).to(z.dtype)  # [N, S]
            count = some.sum(0)
            mean = (z * some.unsqueeze(-1)).sum(0) / count.clamp(min=1.0).unsqueeze(-1)  # [S, F]
            share = torch.where(self.begun[k], KEPT_SHARE, 0.0)
            share = torch.where(count > 0, share, 1.0).unsqueeze(-1)
            self.centres[k] = share * self.centres[k] + (1.0 - share) * mean
            self.begun[k] |= count > 0
