"""The embedded demos time enough requests for the p99 that their limit is read off."""

from importlib.resources import files

import pytest
import yaml

from fusefront.harness.runs.study import check_study
from fusefront.harness.serving.latency.bench import LEAST_TIMED


@pytest.mark.parametrize("name", ["demo.yaml", "demo_quick.yaml"])
def test_a_demo_times_a_thousand_requests(name: str) -> None:
    text = files("fusefront.harness.jobs").joinpath(name).read_text(encoding="utf-8")
    study = check_study(yaml.safe_load(text), name)
    assert study.latency.rounds * LEAST_TIMED >= 1000
