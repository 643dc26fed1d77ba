"""How far a long run is: a bar on a terminal, else a line every few seconds, on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from numpy_elmo.corpus.inputs import CorpusSize
from numpy_elmo.elmo import CorpusReport

# Seconds between lines.
INTERVAL = 5.0


class ProgressLines:
    """A plain line every few seconds.

    Parameters
    ----------
    size : CorpusSize or None
        What there is to do, where known.
    """

    def __init__(self, size: CorpusSize | None) -> None:
        self._size = size
        self._start: tuple[float, int] | None = None
        self._last = time.monotonic()

    def __call__(self, report: CorpusReport) -> None:
        """Take note of what is done, and print it if it is time."""
        now = time.monotonic()
        if self._start is None:  # a resumed run was not as fast as what it found done
            self._start = now, report.n_tokens
        if now - self._last >= INTERVAL:
            self._last = now
            print(self._line(report, *self._start, now), file=sys.stderr, flush=True)

    def _line(self, report: CorpusReport, start: float, n_before: int, now: float) -> str:
        rate = (report.n_tokens - n_before) / max(now - start, 1e-9)
        done = f"{report.n_sentences:,} sentences, {report.n_tokens:,} tokens"
        if self._size is None or not rate:
            return f"{done}, {rate:,.0f} tokens/s"
        share = report.n_tokens / max(1, self._size.n_tokens)
        left = (self._size.n_tokens - report.n_tokens) / rate
        return f"{done} ({share:.1%}), {rate:,.0f} tokens/s, {duration(left)} left"

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class ProgressBar:
    """A bar of tqdm.

    Parameters
    ----------
    tqdm : class
        ``tqdm.tqdm``.
    size : CorpusSize or None
        What there is to do, where known.
    """

    def __init__(self, tqdm: Any, size: CorpusSize | None) -> None:
        self._make = tqdm
        self._total = None if size is None else size.n_tokens
        self._bar: Any = None

    def __call__(self, report: CorpusReport) -> None:
        """Move the bar."""
        if self._bar is None:
            self._bar = self._make(total=self._total, initial=report.n_tokens, unit=" tokens", unit_scale=True)
        self._bar.update(report.n_tokens - self._bar.n)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def progress(size: CorpusSize | None, *, plain: bool = False) -> ProgressBar | ProgressLines:
    """Return a bar if there is a terminal to draw on and tqdm is installed, else lines.

    Parameters
    ----------
    size : CorpusSize or None
        What there is to do, where known.
    plain : bool
        Lines in any case.
    """
    if plain or not sys.stderr.isatty():
        return ProgressLines(size)
    try:
        from tqdm import tqdm  # noqa: PLC0415 -- an extra
    except ImportError:
        return ProgressLines(size)
    return ProgressBar(tqdm, size)


def duration(seconds: float) -> str:
    """Return a time as people read it.

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
