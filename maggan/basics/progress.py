"""One progress bar for the package, live for people and plain lines for logs; and interrupting without loss."""

import os
import signal
import sys
import threading
from contextlib import contextmanager
from functools import cache

from tqdm.auto import tqdm as live_bar
from tqdm.std import tqdm as text_bar

SECONDS_BETWEEN_LINES = 15


class PlainLines(text_bar):
    """A bar that prints whole lines now and then, so that rows trained side by side stay readable."""

    @staticmethod
    def status_printer(file):
        """Return a function that prints one status as a line of its own."""
        printed = [""]

        def print_line(status: str) -> None:
            if status.strip() and status != printed[0]:      # closing a bar prints its last state once more
                printed[0] = status
                file.write(status + "\n")
                file.flush()
        return print_line

    def set_postfix(self, ordered_dict=None, refresh=False, **values):
        """Remember the values for the next line; unlike a live bar, never print one just for them."""
        super().set_postfix(ordered_dict, refresh=False, **values)


def progress(iterable=None, desc: str = "", total: int | None = None, initial: int = 0, **options):
    """Return a tqdm bar over `iterable`, or plain lines every 15 s where MAGGAN_PLAIN is set."""
    if not os.environ.get("MAGGAN_PLAIN"):
        return live_bar(iterable, desc=desc, total=total, initial=initial, leave=False, **options)
    counts = "{n_fmt}/{total_fmt} {unit}" if total is not None or hasattr(iterable, "__len__") else "{n_fmt} {unit}"
    options = {"unit": "steps", "delay": 0.1, **options}
    return PlainLines(iterable, desc=desc, total=total, initial=initial, file=sys.stderr, leave=True, miniters=1,
                      mininterval=SECONDS_BETWEEN_LINES, maxinterval=float("inf"),
                      bar_format="{desc}: " + counts + ", {elapsed} gone, {remaining} to go{postfix}", **options)


@contextmanager
def interrupts_held():
    """Hold Ctrl-C and SIGTERM back until the iteration is whole: yields a list that is filled by either."""
    seen, signals = [], (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = [signal.signal(number, lambda *_: seen.append(True)) for number in signals]
    try:
        yield seen
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def warn(text):
    """One line on standard error, beside a progress bar if there is one."""
    live_bar.write(f"maggan: {text}", file=sys.stderr)


@cache
def warn_once(text):
    """`warn`, but the same line only once a process: photos, for one, are opened anew for every split."""
    warn(text)
