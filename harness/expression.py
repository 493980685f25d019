"""Arithmetic over named numbers, as used by the *_expr keys of pitfall.toml.

Only numbers, names, + - * / // % ** and parentheses, min() and max(): nothing can be called or
reached from here.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from harness.fault import UsageFault

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"min": min, "max": max}
_MAX_POWER = 64


def parse(text: str) -> ast.expr:
    """The tree of an expression; a Fault says what is not allowed."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UsageFault(f"'{text}' is not arithmetic: {error}") from error
    _walk(tree, text, None)
    return tree


def names(text: str) -> list[str]:
    """The names that an expression takes, without its functions; a Fault as from parse."""
    nodes = list(ast.walk(parse(text)))
    functions = [node.func for node in nodes if isinstance(node, ast.Call)]
    return sorted({node.id for node in nodes
                   if isinstance(node, ast.Name) and node not in functions})


def evaluate(text: str, names: Mapping[str, float]) -> float:
    """The value of an expression; an unknown name is a Fault that lists the known ones."""
    return float(_walk(parse(text), text, names))


def _walk(node: ast.expr, text: str, names: Mapping[str, float] | None) -> float:
    """With names None, only checks the shape (every name counts as 1)."""
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    if isinstance(node, ast.Name):
        if names is None:
            return 1.0
        if node.id not in names:
            known = ", ".join(sorted(names)) or "none"
            raise UsageFault(f"'{text}': unknown name '{node.id}' (known: {known})")
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        operand = _walk(node.operand, text, names)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp):
        left, right = _walk(node.left, text, names), _walk(node.right, text, names)
        return _binary(node.op, left, right, text, names is None)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and len(node.args) >= 2
        and not node.keywords
    ):
        return _FUNCTIONS[node.func.id](*[_walk(arg, text, names) for arg in node.args])
    raise UsageFault(f"'{text}': only numbers, names, + - * / // % **, min() and max() are allowed")


def _binary(
    op: ast.operator, left: float, right: float, text: str, checking: bool
) -> float:
    try:
        if isinstance(op, ast.Pow):
            if abs(right) > _MAX_POWER:
                raise UsageFault(f"'{text}': the exponent {right:g} is too large")
            return float(left**right)
        function = _BINARY.get(type(op))
        if function is None:
            raise UsageFault(f"'{text}': this operator is not allowed")
        return function(left, right)
    except ZeroDivisionError as error:
        if checking:
            return 1.0
        raise UsageFault(f"'{text}': division by zero") from error
    except (OverflowError, TypeError) as error:
        raise UsageFault(f"'{text}': {error}") from error
