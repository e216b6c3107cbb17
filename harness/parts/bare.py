"""Python source reduced to code: without comments, docstrings, and anything that changes no
number."""

import ast
import hashlib
from pathlib import Path

NOT_NUMBERS = {"choices", "paper"}  # class attributes that change no number of a run


def code_digest(file: Path) -> str:
    """SHA-256 of a Python file's code; a file that is not Python counts as empty."""
    try:
        code = bare_code(file)
    except (SyntaxError, ValueError):
        code = ""
    return hashlib.sha256(code.encode()).hexdigest()


def bare_code(file: Path) -> str:
    """The code of a Python file: comments, docstrings, layout and the texts of errors are
    left out."""
    text = file.read_text(encoding="utf-8")
    return ast.unparse(Bare(keep_annotations=True).visit(ast.parse(text)))


class Bare(ast.NodeTransformer):
    """Removes docstrings, the texts of errors, and attributes that change no number; annotations on
    request."""

    def __init__(self, *, keep_annotations: bool) -> None:
        self.keep_annotations = keep_annotations

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            lines = [line for line in body if not is_docstring(line)]
            if isinstance(node, ast.ClassDef):
                lines = [line for line in lines if not (_targets(line) & NOT_NUMBERS)]
            node.body = lines or [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            return ast.Raise(exc=node.exc.func, cause=None)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return node if self.keep_annotations else ast.arg(arg=node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if not self.keep_annotations:
            node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if not self.keep_annotations:
            node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _targets(node: ast.stmt) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def is_docstring(node: ast.stmt) -> bool:
    """Whether a statement is only a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
