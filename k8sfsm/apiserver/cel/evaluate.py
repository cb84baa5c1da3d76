"""CEL expressions, evaluated by the library `common-expression-language` with Kubernetes' functions.

The library comes with the extra `cel` (`pip install k8sfsm[cel]`); without it expressions are refused.
Source: staging/src/k8s.io/apiserver/pkg/cel/environment/base.go.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from k8sfsm.apiserver.cel.functions import FUNCTIONS


class CelError(ValueError):
    """An expression that cannot be read or evaluated. Its text says why, in one line."""


@cache
def _library() -> Any:
    try:
        return importlib.import_module("cel")
    except ImportError:
        return None


def is_there() -> bool:
    """Whether the library is installed."""
    return _library() is not None


@lru_cache(maxsize=4096)
def compiled(expression: str) -> Any:
    """The program of an expression. Raises CelError."""
    library = _library()
    if library is None:
        raise CelError(
            "CEL expressions need the library common-expression-language, expected: pip install 'k8sfsm[cel]'"
        )
    try:
        return library.compile(expression)
    except Exception as error:  # the library names no class of its own for what it cannot read
        raise CelError(_line(error)) from None


def evaluated(expression: str, variables: Mapping[str, Any], functions: Mapping[str, Any] | None = None) -> Any:
    """The value of an expression, as plain Python. `functions`: beside the usual ones. Raises CelError."""
    program = compiled(expression)
    context = _library().Context()
    for name, part in variables.items():
        context.add_variable(name, part)
    for name, function in {**FUNCTIONS, **(functions or {})}.items():
        context.add_function(name, function)
    try:
        return program.execute(context)
    except KeyError as error:
        raise CelError(f"no such key: {error.args[0] if error.args else ''}") from None
    except Exception as error:
        raise CelError(_line(error)) from None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
