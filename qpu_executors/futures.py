"""What pools share about `concurrent.futures`: futures as arguments, and a call that settles its future."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any


def settle(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Call ``fn(*args, **kwargs)`` and give its result or error to the future, unless that was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def when_ready(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    then: Callable[[tuple[Any, ...], dict[str, Any], BaseException | None], None],
) -> None:
    """Call ``then(args, kwargs, None)`` once all futures among the arguments, also inside lists, are done.

    They are replaced by their results. If one failed or was cancelled, ``then`` gets its exception as third argument.
    """
    waiting = [value for value in _flat([*args, *kwargs.values()]) if isinstance(value, Future)]
    if not waiting:
        then(args, kwargs, None)
        return
    left = itertools.count(len(waiting) - 1, -1)

    def one_done(_: Future[Any]) -> None:
        if next(left) > 0:  # next() on a count is atomic
            return
        try:
            ready = tuple(map(_resolved, args)), {name: _resolved(value) for name, value in kwargs.items()}
        except BaseException as error:
            then(args, kwargs, error)
        else:
            then(*ready, None)

    for dependency in waiting:
        dependency.add_done_callback(one_done)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


def _resolved(value: Any) -> Any:
    if isinstance(value, Future):
        return value.result()
    if type(value) in (list, tuple):
        return type(value)(map(_resolved, value))
    return value
