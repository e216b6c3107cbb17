"""The small changes of meaning that one source file can take, and which statement each is in."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mutation.equivalents import equivalents

OPERATORS: dict[type[ast.AST], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.And: "or",
    ast.Or: "and",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
BOTH_WAYS = (
    ("min", "max"),
    ("argmin", "argmax"),
    ("amin", "amax"),
    ("minimum", "maximum"),
    ("any", "all"),
    ("sum", "mean"),
    ("head", "tail"),
    ("left", "right"),
    ("ceil", "floor"),
    ("p50", "p99"),
    ("low", "high"),
    ("first", "last"),
)
ONE_WAY = {
    "p95": "p50",
    "train": "valid",
    "valid": "test",
    "reverse": "sort",
    "eval": "train",
    "maximize": "minimize",
}
WORDS = ONE_WAY | dict(BOTH_WAYS) | {right: left for left, right in BOTH_WAYS}


@dataclass(frozen=True)
class StatementSpan:
    """A statement, or the head of one that holds others: its lines, and whether a call runs it."""

    first: int
    last: int
    in_function: bool


@dataclass(frozen=True)
class Mutation:
    """One change of `file`: the bytes from `start` to `end` become `new`."""

    file: Path
    start: int
    end: int
    old: str
    new: str
    line: int
    place: StatementSpan
    text: str

    def applied(self, raw: bytes) -> bytes:
        return raw[: self.start] + self.new.encode() + raw[self.end :]


def places(body: list[ast.stmt], *, in_function: bool = False) -> Iterator[StatementSpan]:
    """Every statement of `body` and below; a statement that holds others counts by its head."""
    for statement in body:
        blocks = [
            block
            for name in ("body", "orelse", "finalbody")
            if (block := getattr(statement, name, None))
        ]
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([first, *(each.lineno for each in statement.decorator_list)])
        if blocks:
            last = max(first, blocks[0][0].lineno - 1)
        yield StatementSpan(first, last, in_function)
        called = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            start = getattr(part, "lineno", None) or part.pattern.lineno
            yield StatementSpan(start, max(start, part.body[0].lineno - 1), in_function)
            blocks.append(part.body)
        for block in blocks:
            yield from places(block, in_function=in_function or called)


class SourceFile:
    """One file with the byte position of every line."""

    def __init__(self, path: Path) -> None:
        self.raw = path.read_bytes()
        self.text = self.raw.decode()
        self.tree = ast.parse(self.text)
        self.starts = [0]
        for row in self.raw.split(b"\n"):
            self.starts.append(self.starts[-1] + len(row) + 1)

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def between(self, left: ast.expr, right: ast.expr, new: str) -> Iterator[tuple[int, int, str]]:
        """The operator that stands between two operands, if it stands there alone."""
        start, end = self.span(left)[1], self.span(right)[0]
        gap = self.raw[start:end].decode()
        operator = gap.strip("() \n\\")
        if operator and "#" not in gap and gap.count(operator) == 1:
            yield start, end, gap.replace(operator, new)

    def docstrings(self) -> set[int]:
        holders = (ast.Module, ast.ClassDef, ast.FunctionDef)
        return {
            id(node.body[0].value)
            for node in ast.walk(self.tree)
            if isinstance(node, holders) and node.body and isinstance(node.body[0], ast.Expr)
        }

    def edits(self) -> Iterator[tuple[int, int, str, int]]:
        """(first byte, byte after the last, new text, line), parsing or not, breadth first."""
        docstrings, same = self.docstrings(), equivalents(self.tree)
        for node in ast.walk(self.tree):
            if id(node) in same:
                continue
            match node:
                case ast.Compare(left=left, ops=[operator], comparators=[right]):
                    pair = (left, right, OPERATORS.get(type(operator)))
                case ast.BinOp(left=left, op=sign, right=right):
                    pair = (left, right, OPERATORS.get(type(sign)))
                case ast.BoolOp(op=word, values=[left, right, *_]):
                    pair = (left, right, OPERATORS.get(type(word)))
                case _:
                    if not isinstance(node, ast.Constant) or id(node) not in docstrings:
                        yield from self.simple(node)
                    continue
            left, right, new = pair
            if new is not None:
                for edit in self.between(left, right, new):
                    yield *edit, left.end_lineno or left.lineno

    def simple(self, node: ast.AST) -> Iterator[tuple[int, int, str, int]]:
        """Edits of a node that replace it, or its name, by another."""
        match node:
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
                start, end = self.span(operand)
                yield *self.span(node), self.raw[start:end].decode(), node.lineno
            case ast.Constant(value=bool(value)):
                yield *self.span(node), str(not value), node.lineno
            case ast.Constant(value=int(number) | float(number)) if number + 1 != number:
                yield *self.span(node), repr(number + 1), node.lineno
            case ast.Constant(value=str(value)) if value in WORDS:
                start, end = self.span(node)
                if self.raw[start:end].decode().strip("'\"") == value:
                    yield start, end, repr(WORDS[value]), node.lineno
            case ast.Attribute(attr=name) if name in WORDS:
                end = self.span(node)[1]
                yield end - len(name), end, WORDS[name], node.end_lineno or node.lineno
            case ast.Name(id=name, ctx=ast.Load()) if name in WORDS:
                yield *self.span(node), WORDS[name], node.lineno
            case ast.Expr(value=ast.Call()):
                yield *self.span(node), "pass", node.lineno  # a call that is not made
            case ast.If(test=ast.Name(id="TYPE_CHECKING") as test):
                yield *self.span(test), "True", test.lineno  # False it is in every program
            case ast.If(test=test):
                for new in ("True", "False"):
                    yield *self.span(test), new, test.lineno


def changes(root: Path, file: Path) -> list[Mutation]:
    """Every change of `root / file` that still parses, in the order of the tree, breadth first."""
    source = SourceFile(root / file)
    rows = source.text.split("\n")
    spans = sorted(places(source.tree.body), key=lambda place: place.last - place.first)
    parsing: list[Mutation] = []
    for start, end, new, line in source.edits():
        here = source.raw[:start].count(b"\n") + 1
        place = next((each for each in spans if each.first <= here <= each.last), None)
        old, text = source.raw[start:end].decode(), rows[line - 1].strip()
        change = Mutation(
            file,
            start,
            end,
            old,
            new,
            line,
            place or StatementSpan(here, here, in_function=False),
            text,
        )
        if old != new and parses(change.applied(source.raw)):
            parsing.append(change)
    return parsing


def parses(raw: bytes) -> bool:
    try:
        ast.parse(raw)
    except SyntaxError:
        return False
    return True
