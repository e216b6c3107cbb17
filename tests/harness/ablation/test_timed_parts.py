"""`ablate --bench` by the program: milliseconds of each part from a real session, what is counted
beside, and the words for both."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from .small_study import finish, record, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_what_each_part_costs_is_measured_and_counted(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Milliseconds against the session's own rounds, paired, with scipy's t interval; MACs against
    the runs' summaries; bytes of an item's codes and of the bundle against the session's rows."""
    folder = shutil.copytree(trained, tmp_path / "timed")
    monkeypatch.setenv("FUSEFRONT_HOST_LOCK", str(tmp_path / "lock"))
    output = finish(start(folder, "--bench", "--set", "latency.rounds=20"))
    ablation = record(folder)
    place = folder / "out/studies/small/bench-ablation-early_fusion/bench.json"
    session = json.loads(place.read_text())
    shipped = ("onnx", "end_to_end", 100)  # what decides
    timed = {
        row["strategy"]: row
        for row in session["rows"]
        if (row["backend"], row["scope"], row["candidates"]) == shipped
    }
    (floor,) = (
        line
        for line in session["facts"]["floors"]
        if ("onnx", line["scope"], line["candidates"]) == shipped
    )
    summaries = {}
    for path in (folder / "out" / "runs").rglob("summary.json"):
        summaries[path.parent.name] = json.loads(path.read_text())
    runs = {cell["strategy"]: cell["run_id"] for cell in ablation["cells"]}
    matrix = json.loads((folder / "out/studies/small/matrix.json").read_text())
    runs |= {cell["strategy"]: cell["run_id"] for cell in matrix["cells"]}
    assert len(ablation["rows"]) >= 4
    quantiles = set()
    for row in ablation["rows"]:
        cost, name = row["cost"], row["strategy"]
        whole, without = timed["early_fusion"], timed[name]
        for key in ("p50", "p99"):
            if key not in cost:
                continue
            quantiles.add(key)
            gap = np.exp(whole[f"log_{key}"]) - np.exp(without[f"log_{key}"])
            assert cost[key]["ms"] == pytest.approx(gap.mean())
            error = gap.std(ddof=1) / np.sqrt(len(gap))
            ends = stats.t.interval(0.95, len(gap) - 1, gap.mean(), error)
            assert (cost[key]["low"], cost[key]["high"]) == pytest.approx(ends)
            ratio = abs(np.mean(whole[f"log_{key}"]) - np.mean(without[f"log_{key}"]))
            if cost[key]["measurable"]:
                assert ratio > floor[f"floor_{key}"]
                assert not cost[key]["low"] <= 0 <= cost[key]["high"]
        assert ("auc_per_ms" in cost) == cost["p50"]["measurable"]
        macs = [summaries[runs[n]]["macs_per_candidate"] for n in ("early_fusion", name)]
        assert cost["macs"] == macs[0] - macs[1]
        assert cost["bundle_bytes"] == whole["bundle_bytes"] - without["bundle_bytes"]
        assert cost["code_bytes"] == int(cost["code_bytes"])
    assert quantiles == {"p50", "p99"}
    assert any(row["cost"]["macs"] != 0 for row in ablation["rows"])
    words = [row["cost"][key]["measurable"] for row in ablation["rows"] for key in ("p50", "p99")]
    assert output.count("nothing measurable") == words.count(False)
    assert ("latency was not measured" not in output) or ablation["first"] == []
    names = {row["strategy"] for row in ablation["rows"]} | {"early_fusion"}
    assert {row["strategy"] for row in session["rows"]} == names | {"null graph"}
    assert not [name for name in os.listdir(folder / "out") if name.startswith(".locks")]
