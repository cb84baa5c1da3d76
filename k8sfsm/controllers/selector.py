"""Label selectors of controllers, made ready to ask many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from k8sfsm.apiserver.memo import Memo
from k8sfsm.objects import LabelSelector, Selector, SelectorError

__all__ = ["Matcher", "SelectorError", "matcher"]

Matcher: TypeAlias = Callable[[Mapping[str, str]], bool]


def matcher(selector: LabelSelector | None) -> Matcher:
    """A function from labels to whether the selector matches them. No selector matches nothing, an empty one all.

    Raises SelectorError.
    """
    known = _MATCHERS.get((selector,))
    if known is None:
        known = Selector.of(selector).matches
        _MATCHERS.put((selector,), known)
    return cast(Matcher, known)


_MATCHERS: Final = Memo()
