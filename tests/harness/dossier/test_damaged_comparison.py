"""A damaged comparison.json is one sentence that names the file and the place in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.dossier.inputs import read_comparison, stored_comparison
from fusefront.harness.runs.store import StudyFolder

# files of earlier versions lack them
OPTIONAL = {
    "format",
    "mde",
    "se",
    "df",
    "own_metrics",
    "expected",
    "effective",
    "level",
    "search",
    "df_bound",
}
OPTIONAL |= {"weight", "two_way_ratio", "look", "family", "c_controls", "c_strategies"}


@pytest.fixture
def compared(study: StudyFolder) -> StudyFolder:
    compare_study(study)
    return study


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where each kind of number or text stands: of a list, the first one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1])  # type: ignore[index]
    for key, part in inner:
        if isinstance(part, dict | list) and part:
            yield from places(part, (*at, key))
        else:
            yield (*at, key)


def holder(content: Any, at: tuple[str | int, ...]) -> Any:
    for key in at[:-1]:
        content = content[key]
    return content


def refusal(compared: StudyFolder, content: object) -> str:
    path = compared.path / "comparison.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataContractError) as error:
        stored_comparison(path)
    sentence = str(error.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence


def test_every_number_and_text_of_another_type_is_named(compared: StudyFolder) -> None:
    text = (compared.path / "comparison.json").read_text()
    every = list(places(json.loads(text)))
    assert len(every) > 80
    for at in every:
        content = json.loads(text)
        part = holder(content, at)
        part[at[-1]] = 7 if isinstance(part[at[-1]], str) else "7"
        where = "format" if at == ("format",) else ".".join(map(str, at))
        assert where in refusal(compared, content)


def test_every_key_that_is_gone_is_named(compared: StudyFolder) -> None:
    text = (compared.path / "comparison.json").read_text()
    for at in places(json.loads(text)):
        free = at[0] in ("curves", "temperature") or "metrics" in at or "differences" in at
        if isinstance(at[-1], int) or at[-1] in OPTIONAL or (free and len(at) < 5):
            continue
        content = json.loads(text)
        del holder(content, at)[at[-1]]
        assert f"{'.'.join(map(str, at))}: field required" in refusal(compared, content)


@pytest.mark.parametrize("name", ["theta", "s2", "n", "K", "interaction", "floor"])
def test_arrays_that_do_not_fit_the_names_are_refused(compared: StudyFolder, name: str) -> None:
    content = json.loads((compared.path / "comparison.json").read_text())
    content["model"][name] = content["model"][name][:-1]
    assert "not a comparison as it was written" in refusal(compared, content)


def test_what_is_whole_is_read_as_it_was_written(compared: StudyFolder) -> None:
    content = json.loads((compared.path / "comparison.json").read_text())
    comparison = read_comparison(compared, compared.completed())
    assert json.loads(json.dumps(comparison.to_dict(), allow_nan=False)) == content
