"""Changes that no test can tell apart: what of a file's tree is left out of the drawing.

Three kinds, and each only where the file itself decides it:
- `@dataclass(frozen=True)` -> False. A program that runs assigns to no frozen object; only a hash
  could tell, and where one is needed the program fails at once;
- a type that a function gives (`most: int | None = None`, `self.most: int | None`), which no
  program evaluates;
- an axis counted from the end -> the same axis counted from the start (`-1` -> `1` of two axes).
  The array's number of axes has to stand in the same expression, or where its name is bound, once.
"""

import ast
from collections.abc import Iterator
from typing import TypeGuard

SHAPED = ("zeros", "ones", "empty", "full")  # module functions that take a shape first
ALONG = (
    *("all", "amax", "amin", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum"),
    *("logsumexp", "max", "mean", "median", "min", "prod", "size", "softmax", "sort", "std"),
    *("sum", "var"),
)  # work along an axis of the array they are given
JOINED = ("cat", "concat", "concatenate")  # ... of each array they are given
MODULES = ("np", "torch")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def equivalents(tree: ast.Module) -> set[int]:
    """The `id` of every node whose change means the same."""
    return {id(node) for node in (*frozen(tree), *local_types(tree), *same_axes(tree))}


def frozen(tree: ast.Module) -> Iterator[ast.expr]:
    """The True of every `@dataclass(frozen=True)`."""
    for node in ast.walk(tree):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            match decorator:
                case ast.Call(func=ast.Name(id="dataclass") | ast.Attribute(attr="dataclass")):
                    for keyword in decorator.keywords:
                        match keyword:
                            case ast.keyword(arg="frozen", value=ast.Constant(value=True) as value):
                                yield value


def local_types(tree: ast.Module) -> Iterator[ast.AST]:
    """All that stands in the type of what a function binds: a name, an attribute or an element."""
    for function in ast.walk(tree):
        inside = list(function.body) if isinstance(function, Function) else []
        while inside:
            node: ast.AST = inside.pop()
            if isinstance(node, ast.AnnAssign):
                yield from ast.walk(node.annotation)
            if not isinstance(node, Function | ast.ClassDef):
                inside += [each for each in ast.iter_child_nodes(node) if is_block(each)]


def is_block(node: ast.AST) -> TypeGuard[ast.stmt]:
    """Whether statements may stand in it."""
    return isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)


def same_axes(tree: ast.Module) -> Iterator[ast.expr]:
    """The `-a` of every axis `-a` of an array with 2 a axes, which `a` names, too."""
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    bound: dict[int, dict[str, int]] = {}
    for function in functions:  # outer ones come first, the innermost counts
        bound |= {id(node): {} for node in ast.walk(function)}
    for function in functions:
        names = axes_of_names(function)
        bound |= {id(node): names for node in ast.walk(function)}
    for node in ast.walk(tree):
        names = bound.get(id(node), {})
        for axis, array in used_axes(node):
            match axis:
                case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                    if axes(array, names) == 2 * number:
                        yield axis


def used_axes(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each axis that an expression names, with the array it is an axis of."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="shape", value=array), slice=axis):
            yield axis, array
        case ast.Call(func=ast.Attribute(attr=name, value=owner)):
            keywords = [word.value for word in node.keywords if word.arg in ("axis", "dim")]
            arrays, rest = [owner], node.args
            if is_module(owner):
                arrays, rest = node.args[:1], node.args[1:]
            if name in JOINED and arrays and isinstance(arrays[0], ast.List | ast.Tuple):
                arrays = arrays[0].elts  # all have the same number of axes
            elif name not in ALONG:
                return
            for axis in keywords or rest[:1]:
                yield from ((axis, array) for array in arrays)


def is_module(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Name) and owner.id in MODULES


def axes(array: ast.expr, names: dict[str, int]) -> int | None:
    """How many axes an array has, None where the expression does not say it."""
    match array:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Call(func=ast.Attribute(attr="reshape", value=owner), args=shape):
            return None if is_module(owner) else length(shape)
        case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id=module)), args=shape):
            if name == "eye" and module in MODULES:
                return 2
            if name in SHAPED and module in MODULES:
                return length(shape if module == "torch" and name != "full" else shape[:1])
    return None


def length(shape: list[ast.expr]) -> int | None:
    """How many sizes a shape has: one tuple, or several sizes by themselves."""
    if len(shape) < 2:
        if not shape or not isinstance(shape[0], ast.Tuple | ast.List):
            return None  # a name may hold a number or a tuple
        shape = shape[0].elts
    return None if any(isinstance(size, ast.Starred) for size in shape) else len(shape)


def axes_of_names(function: Function) -> dict[str, int]:
    """The number of axes of the names that a function binds once and never reshapes in place."""
    stored: list[str] = []
    values: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                stored.append(name)
            case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.alias(name=name):
                stored.append(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                stored.append(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                stored.append(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                stored += names * 2
            case ast.Attribute(attr=attribute, value=ast.Name(id=name), ctx=context):
                if attribute.endswith("_") or not isinstance(context, ast.Load):
                    stored.append(name)  # x.squeeze_(), x.shape = ...
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = value
    return {
        name: count
        for name, value in values.items()
        if stored.count(name) == 1 and (count := axes(value, {})) is not None
    }
