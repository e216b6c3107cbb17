"""Codes of MMCTR-Bench's progressive quantiser, for test_released_psrq.py.

    python record_psrq.py BENCH/src       github.com/hdu-yzl/MMCTR-Bench at 00ce954

Nothing of theirs is copied here. Its maps from a centre to what is taken away take the centre's
first half; psrq.npz, written beside this file, holds vectors, centres and codes.
"""

import sys
from pathlib import Path

import numpy as np
import torch

SEED, ROWS, WIDTH, LEVELS, CODES = 11, 40, 4, 3, 4


def main():
    from mmctr.quantization.psrq import _ProgressiveResidualQuantizer

    draw = np.random.default_rng(SEED)
    net = _ProgressiveResidualQuantizer(LEVELS, CODES, WIDTH, 0.25)
    numbers = {"vectors": draw.normal(size=(ROWS, WIDTH)).astype(np.float32)}
    with torch.no_grad():
        for at, level in enumerate(net.levels):
            centres = draw.normal(size=level.embedding.weight.shape).astype(np.float32)
            numbers[f"centres_{at}"] = centres
            level.embedding.weight.copy_(torch.from_numpy(centres))
            level.initted.fill_(True)
        for at in range(LEVELS - 1):
            net.projectors[at] = torch.nn.Linear(2 * WIDTH, WIDTH, bias=False)
            net.projectors[at].weight.copy_(torch.eye(WIDTH, 2 * WIDTH))
        vectors = torch.from_numpy(numbers["vectors"]).double()
        numbers["codes"] = net.double().eval()(vectors)[2].numpy()
    np.savez_compressed(Path(__file__).with_name("psrq.npz"), **numbers)


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:]
    main()
