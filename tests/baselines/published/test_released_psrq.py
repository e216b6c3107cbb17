"""PSRQ's codes of the same centres are MMCTR-Bench's; released/record_psrq.py made them."""

from pathlib import Path

import numpy as np
import torch

from fusefront.fusion_variants.compressors.psrq import ProgressiveCodes


def test_codes_of_the_same_centres():
    with np.load(Path(__file__).with_name("released") / "psrq.npz") as file:
        numbers = {key: torch.from_numpy(file[key]) for key in file.files}
    codes, width = numbers["centres_0"].shape
    ours = ProgressiveCodes(width, k=2, levels=3, codes=codes).double()
    first = torch.nn.functional.pad(numbers["centres_0"], (0, width))  # nothing was said before
    ours.centres = torch.stack([first, numbers["centres_1"], numbers["centres_2"]]).double()
    assert torch.equal(ours.transform(numbers["vectors"].double()), numbers["codes"])
    assert len(numbers["codes"].unique(dim=0)) > 8
