"""The live line: what is running, how far, how long still. Plain lines without a terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

PLAIN_EVERY_S = 10.0


class Live:
    """Shows the progress of one phase after another on stderr."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._phase = ""
        self._spent: dict[str, float] = {}  # phase -> seconds, of those that are over
        self._started = time.monotonic()
        self._said = 0.0
        self._unit = ""
        self._plain_every_s = PLAIN_EVERY_S
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.fields[phase]}"), BarColumn(bar_width=20),
                TextColumn("{task.completed:.0f}/{task.total:.0f}{task.fields[unit]}"),
                TextColumn("{task.fields[left]}"), TextColumn("{task.description}"),
                console=console, transient=True,
                auto_refresh=False,  # its thread would run beside the measured program
            )

    def __enter__(self) -> Live:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def phase(self, name: str, unit: str = "", plain_every_s: float = PLAIN_EVERY_S) -> None:
        """A new phase begins; its length is known at the first tick. unit: of what is counted."""
        self._spent = self.spent()
        self._phase = name
        self._unit = f" {unit}" if unit else ""
        self._plain_every_s = plain_every_s
        self._started = self._said = time.monotonic()
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task("", total=1, phase=name, left="",
                                            unit=self._unit)
        else:
            self.console.print(name, highlight=False)

    def spent(self) -> dict[str, float]:
        """How many seconds each phase took by now."""
        now_s = self._spent.get(self._phase, 0.0) + time.monotonic() - self._started
        return {**self._spent, self._phase: now_s}

    def tick(self, done: int, total: int, what: str) -> None:
        """Number `done` of `total` begins."""
        now = time.monotonic()
        left = time_left(now - self._started, done, total)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=max(total, 1), description=what,
                             left=left, refresh=True)
        elif now - self._said >= self._plain_every_s:
            self._said = now
            self.console.print(f"{self._phase}: {done}/{total}{self._unit}, {left} ({what})",
                               highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        say_plain(self.console, text)


def say_plain(console: Console, *lines: str) -> None:
    """Lines that stay, as long as they are and as they are."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def time_left(elapsed_s: float, done: int, total: int) -> str:
    """'1:05 left', from the pace so far."""
    if done <= 0 or total <= 0:
        return "… left"
    seconds = round(elapsed_s / done * (total - done))
    return f"{seconds // 60}:{seconds % 60:02d} left"
