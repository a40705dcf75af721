"""Small changes to the code of a module: what a mistake, or a misunderstanding, would look like.

    comparisons, sums, and/or      the neighbouring operator:  <  <=      +  -      and  or
    conditions                     negated
    numbers, flags, words, bytes   one more, the opposite, another word
    arguments                      the first two swapped; min and max, any and all exchanged
    statements                     left out: calls, assignments to attributes, raise, del, return
    results                        None instead

Only the bodies of functions are changed. Left alone are texts for people, asserts, annotations, and
what cannot be reached; a constant of a module is a choice, and its value is no rule.
"""

from __future__ import annotations

import ast
import difflib
import re
import types
from collections.abc import Iterator
from typing import NamedTuple

OPPOSITE: dict[type[ast.AST], type[ast.AST]] = {
    one: other
    for pair in (
        (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot),
        (ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv),
        (ast.BitAnd, ast.BitOr), (ast.LShift, ast.RShift),
    )
    for one, other in (pair, pair[::-1])
} | {ast.Div: ast.Mult, ast.Mod: ast.FloorDiv}  # fmt: skip

NEGATED_BY_ITS_OPERATOR = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
ANOTHER = {"min": "max", "max": "min", "any": "all", "all": "any"}
LEFT_ALONE = {"annotation", "args", "decorator_list", "returns"}


class Mutant(NamedTuple):
    """One change: `holder.field`, or an item of it, becomes `new`."""

    holder: ast.AST
    field: str
    index: int | None
    new: object
    statement: ast.stmt


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Every change to the bodies of the functions of a module."""
    for node in tree.body:
        for one in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _in_statements(one, "body")


def _in_statements(holder: ast.AST, field: str) -> Iterator[Mutant]:
    for index, statement in enumerate(getattr(holder, field)):
        if _speaks_only(statement):
            continue
        for new in _other_statements(statement):
            yield Mutant(holder, field, index, new, statement)
        yield from _below(statement, statement)


def _below(node: ast.AST, statement: ast.stmt) -> Iterator[Mutant]:
    for field, value in ast.iter_fields(node):
        several = isinstance(value, list)
        if field in LEFT_ALONE and not isinstance(node, ast.Call):
            continue
        if several and value and isinstance(value[0], ast.stmt):
            yield from _in_statements(node, field)
            continue
        for index, child in enumerate(value if several else [value]):
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                others = [*_negated(child, field), *_other_expressions(child)]
                at = index if several else None
                yield from (Mutant(node, field, at, new, statement) for new in others)
                yield from _below(child, statement)


def _speaks_only(statement: ast.stmt) -> bool:
    """Whether it is a docstring, an assertion, or cannot be reached."""
    if isinstance(statement, ast.Expr):
        text = ast.unparse(statement.value)
        return isinstance(statement.value, ast.Constant) or text.startswith("assert_never")
    return isinstance(statement, ast.Assert | ast.Pass)


def _other_statements(statement: ast.stmt) -> Iterator[ast.stmt]:
    match statement:
        case ast.Return(value=None):
            yield ast.Pass()
        case ast.Return() if not isinstance(statement.value, ast.Constant):
            yield ast.Return(value=ast.Constant(None))
        case ast.Assign(targets=targets):
            # Without its value a local name is an error at once, and says nothing.
            if any(not isinstance(one, ast.Name | ast.Tuple) for one in targets):
                yield ast.Pass()
        case ast.Expr() | ast.AugAssign() | ast.Delete() | ast.Raise():
            yield ast.Pass()
        case ast.Continue() | ast.Break():
            yield ast.Break() if isinstance(statement, ast.Continue) else ast.Continue()


def _negated(test: ast.AST, field: str) -> Iterator[ast.expr]:
    twice = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    by_operator = isinstance(test, ast.Compare) and isinstance(test.ops[0], NEGATED_BY_ITS_OPERATOR)
    if isinstance(test, ast.expr) and field in {"test", "ifs"} and not twice and not by_operator:
        yield ast.UnaryOp(op=ast.Not(), operand=test)


def _other_expressions(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant():
            yield from _other_constants(node.value)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Call(func=ast.Name(id=name)) if name in ANOTHER:
            yield ast.Call(ast.Name(ANOTHER[name], ast.Load()), node.args, node.keywords)
        case ast.Call(func=function, args=[first, second, *rest]):
            starred = isinstance(first, ast.Starred) or isinstance(second, ast.Starred)
            if not starred and ast.unparse(function) != "isinstance":
                yield ast.Call(function, [second, first, *rest], node.keywords)
        case _ if type(node) in OPPOSITE:
            yield OPPOSITE[type(node)]()


def _other_constants(value: object) -> Iterator[ast.Constant]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int() | float():
            yield ast.Constant(value + 1)
        case str() if re.fullmatch(r"[\w-]*", value):
            yield ast.Constant(value + "XX")  # a word is a code, a sentence is for people
        case bytes():
            yield ast.Constant(value + b"XX")


def apply(mutant: Mutant) -> object:
    """Make the change; return what stood there."""
    if mutant.index is None:
        former = getattr(mutant.holder, mutant.field)
        setattr(mutant.holder, mutant.field, mutant.new)
    else:
        place = getattr(mutant.holder, mutant.field)
        former, place[mutant.index] = place[mutant.index], mutant.new
    return former


def shown(tree: ast.Module, mutant: Mutant, path: str) -> tuple[str, list[types.CodeType]]:
    """Return a mutant as a diff, and the functions of the module as it makes them."""
    before = ast.unparse(mutant.statement).splitlines()
    former = apply(mutant)
    replaced = mutant.new if former is mutant.statement else mutant.statement
    after = ast.unparse(replaced).splitlines()
    ast.fix_missing_locations(tree)
    code = functions(compile(tree, path, "exec", dont_inherit=True))
    apply(mutant._replace(new=former))
    lines = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    return "\n".join([f"{path}:{mutant.statement.lineno}", *lines]), code


def functions(module: types.CodeType) -> list[types.CodeType]:
    """Return the code of a module's functions and methods, in their order."""
    found = []
    for one in module.co_consts:
        if isinstance(one, types.CodeType):
            is_function = one.co_flags & 0x2  # it has fast locals, which a class body has not
            found += [one] if is_function else functions(one)
    return found
