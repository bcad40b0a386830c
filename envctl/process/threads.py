"""Work on many items at once, in threads that never keep a command from ending: an interrupt leaves them behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, Queue, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Iterable[T], width: int = 10) -> list[R]:
    """Return `function(item)` for every item, in the order of *items*, from up to *width* threads; raise the first error immediately.

    A ThreadPoolExecutor is unsuitable: it waits for its threads, at the latest when Python ends.
    """
    numbered = list(enumerate(items))
    threads = min(width, len(numbered))
    waiting: SimpleQueue[tuple[int, T] | None] = SimpleQueue()
    for entry in (*numbered, *[None] * threads):
        waiting.put(entry)
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    results: dict[int, R] = {}

    def work() -> None:
        for index, item in iter(waiting.get, None):
            try:
                results[index] = function(item)
                ended.put(None)
            except BaseException as error:
                ended.put(error)

    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()
    for _ in numbered:
        if (error := _next(ended)) is not None:
            raise error
    return [results[index] for index, _ in numbered]


def _next(queue: SimpleQueue[T]) -> T:
    while True:
        with suppress(Empty):
            return queue.get(timeout=0.5)  # a timeout, so that signals are handled in between


def guarded_thread(function: Callable[[], object], failed: Callable[[BaseException], object], name: str) -> None:
    """Run *function* in its own thread and pass any exception to *failed*, since no caller waits for the thread."""

    def run() -> None:
        try:
            function()
        except BaseException as error:
            failed(error)

    threading.Thread(target=run, name=name, daemon=True).start()


def begun(function: Callable[[], T], name: str) -> Future[T]:
    """Run *function* in its own thread; the returned future has its result or its exception."""
    found: Future[T] = Future()
    guarded_thread(lambda: found.set_result(function()), found.set_exception, name)
    return found


def merged(streams: Sequence[Iterable[T]]) -> Iterator[T]:
    """Yield the items of all *streams* as they come, until all streams have ended; a stream that raises an exception counts as ended."""
    queue: Queue[tuple[T] | None] = Queue(1000)

    def read(stream: Iterable[T]) -> None:
        with suppress(Exception):  # the source of the stream has disappeared
            for item in stream:
                queue.put((item,))
        queue.put(None)

    for stream in streams:
        threading.Thread(target=read, args=(stream,), daemon=True).start()
    ended = 0
    while ended < len(streams):
        item = queue.get()
        if item is None:
            ended += 1
        else:
            yield item[0]


class Feeder(threading.Thread):
    """A thread that passes *pieces* to *write*, then calls *end* with the exception that the pieces raised, or None.

    It is not a failure if the reader ends before it has read everything: the reader's exit code says what happened.
    """

    def __init__(self, pieces: Iterable[bytes], write: Callable[[bytes], object], end: Callable[[Exception | None], object]) -> None:
        super().__init__(daemon=True)
        self._pieces, self._write, self._end = pieces, write, end
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            for piece in self._pieces:
                try:
                    self._write(piece)
                except OSError:
                    break
        except Exception as error:
            self.error = error
        with suppress(OSError):
            self._end(self.error)

    def finish(self) -> None:
        """Wait for the end of the thread.

        Raises:
            Exception: the exception that the pieces raised.
        """
        self.join()
        if self.error is not None:
            raise self.error
