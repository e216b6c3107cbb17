"""The study from Python: runs, comparison and plan are those of the command line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from fusefront.harness import Results, Study
from fusefront.harness.dossier.comparison import study_options
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.runs.seal import LOG

ROOT = Path(__file__).parents[3]


def test_results_open_by_folder_and_by_name(study):
    assert Results(study.path).folder.path == Results("demo", study.root).folder.path
    assert repr(Results(study.path)) == f"Results({str(study.path)!r})"
    with pytest.raises(UsageError, match="got study 'nothing'"):
        Results("nothing", study.root)


def test_a_study_file_that_was_never_run_is_nothing_to_do(study, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text((study.path / "study.yaml").read_text().replace("demo", "other"))
    with pytest.raises(NothingToDoError, match="has no runs"):
        Results(path, study.root)


def test_runs_are_rows_and_do_not_open_test(study):
    (study.completed()[0].path / "summary.json").unlink()
    runs = Results(study.path).runs
    assert runs.height == 21
    assert runs["state"].value_counts(sort=True)["count"].to_list() == [20, 1]
    assert runs.filter(pl.col("strategy") == "good")["valid_logloss"].to_list() == [0.53] * 3
    assert set(runs["role"]) == {"strategy", "control", "ablation"}
    assert not (study.path / LOG).exists()


def test_compare_answers_what_was_asked(study):
    results = Results(study.path)
    comparison = results.compare(
        "good", margin=0.2, effect=0.1, metric="logloss", split="valid", temperature=True
    )
    assert (comparison.baseline, comparison.margin, comparison.effect, comparison.metric) == (
        "good",
        0.2,
        0.1,
        "logloss",
    )
    assert comparison.temperature["good"] > 0
    assert comparison.row("early_fusion").verdict == "worse, by less than the margin"
    pair = comparison.pair("early_fusion", "good")
    assert pair.low == pytest.approx(comparison.row("early_fusion").differences["logloss"].low)
    with pytest.raises(UsageError, match="got split 'train', expected test or valid"):
        results.compare(split="train")


def test_a_look_from_another_side_leaves_the_studys_comparison(study):
    results = Results(study.path)
    results.compare()
    text = (study.path / "comparison.json").read_text()
    results.compare("good")
    results.compare(margin=0.1)
    results.compare(metric="logloss")
    results.compare(two_way=True)
    results.compare(paired_seeds=True)
    assert (study.path / "comparison.json").read_text() == text
    results.compare(effect=0.01)
    assert json.loads((study.path / "comparison.json").read_text())["effect"] == 0.01


def test_the_study_file_says_how_the_comparison_judges(study):
    path = study.path / "study.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["comparison"] = {"effect": 0.02, "two_way": True, "temperature": True}
    path.write_text(yaml.safe_dump(raw))
    results = Results(study.path)
    options = study_options(results.folder)
    assert (options.effect, options.two_way, options.temperature) == (0.02, True, True)
    assert options.guided  # by TPE, where a study names no sampler
    for sampler, guided in (("random", False), ("qmc", False), ("gp", True)):
        path.write_text(yaml.safe_dump({**raw, "tuning": {"sampler": sampler}}))
        assert study_options(Results(study.path).folder).guided is guided
    path.write_text(yaml.safe_dump(raw))
    assert Study.from_yaml(path).comparison.two_way
    comparison = results.compare()
    assert comparison.cluster == "user and item"
    assert np.isfinite(comparison.row("good").metrics["ece_scaled"].high)
    assert results.compare(two_way=False).cluster == "request"
    raw["comparison"] = {"twoway": True}
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(
        UsageError, match=r"unknown key 'comparison.twoway'; did you mean 'two_way'"
    ):
        Study.from_yaml(path)


def test_the_documented_lines_run(study, monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = re.search(
        r"```python\n(.*?)```", (ROOT / "docs" / "statistics.md").read_text(), re.DOTALL
    )
    code = lines[1].replace("out/studies/movielens", str(study.path))
    code = code.replace("late_fusion", "id_only").replace("compressed_fusion", "good")
    known = {}
    exec(code, known)
    assert known["comparison"].baseline == "id_only"


def test_every_field_of_a_comparison_is_documented(study):
    content = Results(study.path).compare().to_dict()
    page = (ROOT / "docs" / "formats.md").read_text().split("## Comparison")[1]
    names = {*content, *content["strategies"][0], *content["slices"][0], *content["variance"][0]}
    names |= {*content["model"], *content["curves"]["ece"]["good"][0], *content["winner"]}
    names |= set(content["strategies"][0]["metrics"])
    assert {name for name in names if not re.search(rf"\b{name}\b", page)} == {"format"}


def test_plan_reads_the_study_as_a_pilot(study):
    result = Results(study.path).plan(0.01, rows_per_day=1000)
    assert "pilot" in result.basis
    assert result.lines[-1].days == pytest.approx(result.lines[-1].rows / 1000)


def test_names_with_wildcards_are_names(study):
    """A folder is read as it is called, not as a pattern."""
    odd = "a[b]*? {c}"
    folder = study.root / "runs" / "shop"
    (folder / "good").rename(folder / odd)
    matrix = (study.path / "matrix.json").read_text()
    (study.path / "matrix.json").write_text(matrix.replace('"good"', json.dumps(odd)))
    raw = yaml.safe_load((study.path / "study.yaml").read_text())
    raw["strategies"][odd] = {"baseline": raw["strategies"].pop("good").get("baseline", "good")}
    (study.path / "study.yaml").write_text(yaml.safe_dump(raw))
    results = Results(study.path)
    comparison = results.compare(split="valid")
    assert comparison.row(odd).verdict == "better"
    entry = next(entry for entry in results.folder.completed() if entry.strategy == odd)
    assert results.folder.predictions(entry, "test").height == 4000


def test_importing_the_harness_brings_nothing_heavy():
    code = (
        "import sys, fusefront.harness as h\n"
        "assert not {'torch', 'polars', 'scipy'} & set(sys.modules)\n"
        "h.Results, h.Study\n"
        "assert 'torch' not in sys.modules\n"
        "try: h.nothing\n"
        "except AttributeError as e: assert 'nothing' in str(e)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
