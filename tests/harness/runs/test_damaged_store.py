"""Damages that the generated ones once showed as tracebacks; each is a sentence that names the
file."""

import json
import re

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.dossier.decide import decide_study
from fusefront.harness.errors import GateError
from fusefront.harness.runs.store import StudyFolder


def test_half_a_slice_is_named(trained_study: StudyFolder) -> None:
    path = trained_study.store_path / "test" / "row" / "slice_cold_item.npy"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataContractError, match=r"slice_cold_item\.npy"):
        compare_study(trained_study)


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + bytes(30)])
def test_a_table_of_the_store_that_is_none_is_named(
    trained_study: StudyFolder, content: bytes
) -> None:
    store = PreparedDataset.open(trained_study.store_path)
    path = store.path / "items" / "keys.parquet"
    path.write_bytes(content)
    with pytest.raises(DataContractError, match=r"keys\.parquet: no readable table"):
        store.item_keys()


@pytest.mark.parametrize("lost", ["s2", "names", "theta", "m", "shown", "c_all", "model"])
def test_a_replay_without_its_numbers_is_named_and_made_again(
    trained_study: StudyFolder, lost: str
) -> None:
    with pytest.raises(GateError):  # nothing was timed
        decide_study(trained_study)
    path = trained_study.path / "replay.json"
    whole = json.loads(path.read_text())
    record = json.loads(path.read_text())
    assert record["requests"] > 0
    of_model = lost in record["model"]
    del (record["model"] if of_model else record)[lost]
    path.write_text(json.dumps(record))
    sentence = rf"model\.{lost}: field required" if of_model else "not a replay as it was written"
    lines: list[str] = []
    with pytest.raises(GateError):
        decide_study(trained_study, tell=lines.append)
    (line,) = lines
    assert re.match(rf"Left out: {path}: {sentence}", line)
    assert json.loads(path.read_text()) == whole
