"""Progress of a long run on standard error: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from numpy_elmo.cli.common import say
from numpy_elmo.elmo import CorpusReport

# Seconds between lines.
INTERVAL = 5.0

Show: TypeAlias = Callable[[CorpusReport, CorpusReport], None]


@contextmanager
def progress(*, plain: bool = False) -> Iterator[Show]:
    """Yield a function that shows progress, given a report of what is done and one of the total.

    It draws a bar if there is a terminal and tqdm is installed, else, or with `plain`, it prints lines.  A closed
    terminal or pipe does not stop the work.
    """
    tqdm = None if plain or sys.stderr is None or not sys.stderr.isatty() else _tqdm()
    bar: Any = None
    start: tuple[float, int] | None = None
    last = time.monotonic()

    def show(done: CorpusReport, total: CorpusReport) -> None:
        nonlocal bar, start, last
        if tqdm is not None:
            with suppress(OSError, ValueError):
                if bar is None:
                    bar = tqdm(total=total.n_tokens, initial=done.n_tokens, unit=" tokens", unit_scale=True)
                bar.update(done.n_tokens - bar.n)
            return
        now = time.monotonic()
        start = start or (now, done.n_tokens)  # do not count what a resumed run found done
        if now - last >= INTERVAL:
            last = now
            say(_line(done, total, *start, now))

    try:
        yield show
    finally:
        if bar is not None:
            with suppress(OSError, ValueError):
                bar.close()


def _tqdm() -> Any:
    try:
        from tqdm import tqdm  # noqa: PLC0415 -- an extra
    except ImportError:
        return None
    return tqdm


def _line(done: CorpusReport, total: CorpusReport, start: float, n_before: int, now: float) -> str:
    rate = (done.n_tokens - n_before) / max(now - start, 1e-9)
    share = done.n_tokens / max(1, total.n_tokens)
    left = f", {duration((total.n_tokens - done.n_tokens) / rate)} left" if rate else ""
    return f"{done.n_sentences:,} sentences, {done.n_tokens:,} tokens ({share:.1%}), {rate:,.0f} tokens/s{left}"


def duration(seconds: float) -> str:
    """Return a duration in readable form.

    Examples
    --------
    >>> duration(59.6), duration(3725), duration(200_000)
    ('1:00', '1:02:05', '2 days 7:33:20')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days} days {text}" if days else text
