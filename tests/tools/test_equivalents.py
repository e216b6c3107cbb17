"""Which changes are left out of the drawing because they change nothing, and which stay."""

from pathlib import Path

import pytest
from mutation.changes import changes

FROZEN = """
@dataclass(frozen=True)
class Price:
    amount: int
"""


def drawn(folder: Path, text: str) -> set[tuple[str, str]]:
    (folder / "shop.py").write_text(text, encoding="utf-8")
    return {(change.old, change.new) for change in changes(folder, Path("shop.py"))}


@pytest.mark.parametrize("name", ["dataclass", "dataclasses.dataclass"])
def test_a_frozen_class_stays_frozen(tmp_path: Path, name: str) -> None:
    assert drawn(tmp_path, FROZEN.replace("dataclass", name)) == set()


@pytest.mark.parametrize(
    "text",
    [
        FROZEN.replace("frozen", "slots"),
        FROZEN.replace("frozen", "order"),
        FROZEN.replace("dataclass", "record"),
        "dataclass(frozen=True)",
        "class Price(Record, frozen=True):\n    pass",
    ],
)
def test_every_other_switch_is_turned(tmp_path: Path, text: str) -> None:
    assert ("True", "False") in drawn(tmp_path, text)


def test_a_class_that_is_not_frozen_is_frozen(tmp_path: Path) -> None:
    assert drawn(tmp_path, FROZEN.replace("True", "False")) == {("False", "True")}


LOCAL = "def f(a):\n    {0}"
TYPED = "x: A | B = a + b"


@pytest.mark.parametrize(
    "text",
    [
        LOCAL.format(TYPED),
        LOCAL.format("a.x: A | B = a + b"),
        LOCAL.format("a[0]: A | B = a + b"),
        LOCAL.format(f"for b in a:\n        if b:\n            {TYPED}"),
        LOCAL.format(f"try:\n        pass\n    except KeyError:\n        {TYPED}"),
        LOCAL.format(f"match a:\n        case A():\n            {TYPED}"),
        LOCAL.format(f"with a:\n        async def g():\n            {TYPED}"),
    ],
)
def test_a_type_that_a_function_gives_is_read_by_nobody(tmp_path: Path, text: str) -> None:
    assert drawn(tmp_path, text) >= {(" + ", " - ")}  # the value counts as ever
    assert (" | ", " & ") not in drawn(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        TYPED,
        f"class F:\n    {TYPED}",
        "a.x: A | B = a",
        LOCAL.format(f"class G:\n        {TYPED}"),
        LOCAL.format("x: int = a | B"),
        "def f(a: A | B):\n    pass",
    ],
)
def test_every_other_type_is_evaluated(tmp_path: Path, text: str) -> None:
    assert (" | ", " & ") in drawn(tmp_path, text)


def test_what_only_a_type_checker_reads_is_read_or_not(tmp_path: Path) -> None:
    """A program does not read it, so only the other way is a change."""
    text = "if {0}:\n    import shop"
    changed = {("TYPE_CHECKING", "True")}
    assert drawn(tmp_path, text.format("TYPE_CHECKING")) == changed
    assert drawn(tmp_path, text.format("a")) == {("a", "True"), ("a", "False")}


LAST_OF_TWO = [
    "np.ones((a, b)).sum(-1)",
    "np.ones([a, b]).max(axis=-1)",
    "torch.zeros(a, b, dtype=kind).softmax(dim=-1)",
    "np.argmax(x.reshape(a, b), -1)",
    "np.full((a, b), c).shape[-1]",
    "torch.cat([x, torch.ones(a, 1)], -1)",
    "np.concatenate((x.reshape((a, b)), y), axis=-1)",
    "np.eye(a).mean(-1)",
    "def f(a):\n    x = np.zeros((a, a))\n    return x.argsort(-1)",
]


@pytest.mark.parametrize("text", LAST_OF_TWO)
def test_the_last_of_two_axes_is_not_counted_from_the_other_end(tmp_path: Path, text: str) -> None:
    edits = drawn(tmp_path, text)
    assert ("-1", "1") not in edits
    assert ("1", "2") in edits  # -1 -> -2 is another axis


def test_the_second_last_of_four_axes_is_the_third(tmp_path: Path) -> None:
    assert ("-2", "2") not in drawn(tmp_path, "np.ones((a, b, c, d)).sum(-2)")
    assert ("-1", "1") in drawn(tmp_path, "np.ones((a, b, c, d)).sum(-1)")


@pytest.mark.parametrize(
    "text",
    [
        "x.sum(-1)",
        "np.ones(shape).sum(-1)",
        "np.ones((a, *b)).sum(-1)",
        "np.ones((a, b, c)).sum(-1)",
        "np.ones((a,)).sum(-1)",
        "np.ones(a, b).sum(-1)",  # numpy's second argument is the type
        "torch.full((a, b, c), d).sum(-1)",
        "np.reshape(x, (a, b, c)).sum(-1)",
        "x.reshape(a, *b).sum(-1)",
        "torch.ones(a, b).unsqueeze(-1)",  # an axis of what comes out
        "torch.ones(a, b).roll(-1)",  # no axis
        "np.stack([np.ones((a, b)), x], -1)",
        "np.ones((a, b))[-1]",
        "def f(x):\n    return x.sum(-1)\nx = np.ones((a, b))",
        "def f(x):\n    x = np.ones((a, b))\n    return x.sum(-1)",
        "def f():\n    x = np.ones((a, b))\n    x = x[None]\n    return x.sum(-1)",
        "def f():\n    x = np.ones((a, b))\n    x.shape = (a, b, 1)\n    return x.sum(-1)",
        "def f():\n    x = torch.ones(a, b)\n    x.unsqueeze_(0)\n    return x.sum(-1)",
        "def f():\n    x = np.ones((a, b))\n    for x in y:\n        x.sum(-1)",
        "def f():\n    x = np.ones((a, b))\n    return lambda x: x.sum(-1)",
    ],
)
def test_where_the_number_of_axes_is_not_sure_the_axis_is_changed(
    tmp_path: Path, text: str
) -> None:
    assert ("-1", "1") in drawn(tmp_path, text)


def test_a_number_that_one_more_does_not_change_stays(tmp_path: Path) -> None:
    edits = drawn(tmp_path, "LOW = 1e30\nHIGH = 10\nSHARE = 0.5")
    assert edits == {("10", "11"), ("0.5", "1.5")}
