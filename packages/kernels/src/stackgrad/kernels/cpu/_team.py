"""The threads that share a kernel's chunks.

The kernels of a training step are tens of microseconds apart, about as long as waking a thread or waiting for one
takes. So no launch waits for threads to arrive: the launching thread starts on the chunks at once, threads that are
awake take some of the rest, and the kernel ends when all chunks taken are done. A thread that finds no work for a while
sleeps; the next launch wakes it without waiting. If other processes use the cores, the step slows down by their share
and no more.

One word holds the number of chunks left together with the number of the job, so taking chunks is one compare-and-swap
that succeeds only during that job. A word that two cores write travels between them, which takes as long as a small
chunk. So a thread takes several chunks at once, half of its even share of the rest, and reports what it did only when
none are left (C. Polychronopoulos and D. Kuck, "Guided self-scheduling", IEEE Transactions on Computers 36 (1987),
https://doi.org/10.1109/TC.1987.5009495).

    OPEN    number of the job << 40 | chunks that no thread has taken
    DONE    chunks that have ended
    CHUNKS, THUNK, SHARED    the job: its number of chunks, and the pointers to call (see _launch)
    PARTS   twice the number of threads
    REPLAY  1 during a replay, which cannot wake threads: so none goes to sleep
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable
from platform import machine
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir

from ._numba import cgutils, helper, intrinsic, types

LAUNCH = "stackgrad_launch"  # the name by which the machine code of kernels calls `launch`
YIELD = "stackgrad_yield"  # the name by which machine code calls the system's function that yields the core

_WORD = ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()
THUNK_TYPE = ir.FunctionType(ir.VoidType(), [_WORD, _POINTER])

# Byte offsets. Words that different threads write are on different cache lines.
_OPEN, _DONE, _CHUNKS, _THUNK, _SHARED, _PARTS, _REPLAY, _BYTES = 0, 128, 256, 264, 272, 280, 288, 384
_LEFT = (1 << 40) - 1
_NEXT_JOB = 1 << 40

# How long a thread looks for work before it sleeps: first it spins, then it yields. Together about a
# third of a millisecond.
_SPINS = 2_000
_YIELDS = 600


def _word_at(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _WORD.as_pointer())


@intrinsic
def _get(typingctx: Any, address: Any) -> Any:
    """Load the word at that address with acquire order: writes before its `_set` are visible afterwards."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_word_at(builder, args[0]), "acquire", 8)

    return types.intp(types.intp), codegen


@intrinsic
def _set(typingctx: Any, address: Any, value: Any) -> Any:
    """Store the word at that address with release order: after all earlier writes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _word_at(builder, args[0]), "release", 8)
        return context.get_dummy_value()

    return types.none(types.intp, types.intp), codegen


@intrinsic
def _add(typingctx: Any, address: Any, value: Any) -> Any:
    """Atomically add to the word at that address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.atomic_rmw("add", _word_at(builder, args[0]), args[1], "acq_rel")
        return context.get_dummy_value()

    return types.none(types.intp, types.intp), codegen


@intrinsic
def _exchange(typingctx: Any, address: Any, old: Any, new: Any) -> Any:
    """Compare and swap: set the word at that address to `new` if it is `old`, and return whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.cmpxchg(_word_at(builder, args[0]), args[1], args[2], "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(types.intp, types.intp, types.intp), codegen


@intrinsic
def _pause(typingctx: Any) -> Any:
    """Tell the processor that this is a waiting loop."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        nothing = ir.VoidType()
        if machine() in ("x86_64", "AMD64"):
            pause = ir.FunctionType(nothing, [])
            builder.call(cgutils.get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), [])
        elif machine() in ("aarch64", "arm64"):
            hint = ir.FunctionType(nothing, [ir.IntType(32)])
            builder.call(cgutils.get_or_insert_function(builder.module, hint, "llvm.aarch64.hint"), [hint.args[0](1)])
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def _let_others_run(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), YIELD)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def _call(typingctx: Any, thunk: Any, chunk: Any, shared: Any) -> Any:
    """Call the thunk at that address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.inttoptr(args[0], THUNK_TYPE.as_pointer())
        builder.call(function, [args[1], builder.inttoptr(args[2], _POINTER)])
        return context.get_dummy_value()

    return types.none(types.intp, types.intp, types.intp), codegen


@helper
def _take_part(team):
    """Run chunks of the current job until none are left."""
    done = 0
    while True:
        word = _get(team + _OPEN)
        left = word & _LEFT
        if left == 0:
            break
        share = max(1, left // _get(team + _PARTS))
        if _exchange(team + _OPEN, word, word - share):
            first = _get(team + _CHUNKS) - left
            for chunk in range(first, first + share):
                _call(_get(team + _THUNK), chunk, _get(team + _SHARED))
            done += share
    if done:
        _add(team + _DONE, done)


def launch(thunk, shared, chunks, team):
    """Call the thunk for each chunk: with all threads of the team, or on this thread in order if `team` is 0."""
    if team == 0:
        for chunk in range(chunks):
            _call(thunk, chunk, shared)
        return
    _set(team + _THUNK, thunk)
    _set(team + _SHARED, shared)
    _set(team + _CHUNKS, chunks)
    _set(team + _DONE, 0)
    _set(team + _OPEN, ((_get(team + _OPEN) & ~_LEFT) + _NEXT_JOB) | chunks)
    _take_part(team)
    waits = 0
    while _get(team + _DONE) < chunks:
        waits += 1
        if waits < _SPINS:
            _pause()
        else:
            _let_others_run()


_launch = helper(launch)


def replay(calls, count, team):
    """Make `count` launches; at the address `calls` each has 4 words: thunk, shared, chunks, and whether on the team.

    Stop after the first launch with a failed chunk and return its index plus 1; return 0 if none fails.
    """
    for call in range(calls, calls + count * 32, 32):
        shared = _get(call + 8)
        _launch(_get(call), shared, _get(call + 16), team if _get(call + 24) else 0)
        if _get(shared):
            _set(shared, 0)  # for the next replay
            return (call - calls) // 32 + 1
    return 0


def serve(team):
    """Take part in jobs until none has come for a while."""
    waits = 0
    while waits < _SPINS + _YIELDS or _get(team + _REPLAY):
        if _get(team + _OPEN) & _LEFT:
            _take_part(team)
            waits = 0
        waits += 1
        if waits < _SPINS:
            _pause()
        else:
            _let_others_run()
    return 0


def thread_count() -> int:
    """NUMBA_NUM_THREADS, by default the number of cores that this process may run on."""
    told = os.environ.get("NUMBA_NUM_THREADS")
    if told:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Team:
    """NUMBA_NUM_THREADS threads, including the one that launches.

    `serve` and `replay` are the functions above, compiled to run without the interpreter's lock.
    """

    def __init__(self, serve: Callable[[int], Any], replay: Callable[[int, int, int], int]) -> None:
        words = np.zeros(_BYTES // 8, np.int64)
        threads = thread_count()
        words[_PARTS // 8] = 2 * threads
        self._words = words  # at least 16 bytes aligned, so that no word straddles two cache lines
        self._address = words.ctypes.data
        self._serve = serve
        self._replay = replay
        self._lock = threading.Lock()
        self._asleep: deque[threading.Lock] = deque()
        self._dismissed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"stackgrad-{i}", daemon=True) for i in range(1, threads)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self._dismiss)

    def run(self, call: Callable[[int], int]) -> int:
        """Return call(team) for `launch`, or call(0) on this thread alone while another Python thread uses the team."""
        if not self._lock.acquire(blocking=False):
            return call(0)
        try:
            self._wake()
            return call(self._address)
        finally:
            self._lock.release()

    def replay(self, calls: int, count: int, alone: bool) -> int:
        """See `replay` above. On this thread alone if `alone`, or while another Python thread uses the team."""
        if alone or not self._lock.acquire(blocking=False):
            return self._replay(calls, count, 0)
        try:
            self._words[_REPLAY // 8] = 1
            self._wake()
            return self._replay(calls, count, self._address)
        finally:
            self._words[_REPLAY // 8] = 0
            self._lock.release()

    def _wake(self) -> None:
        while self._asleep:
            try:
                self._asleep.pop().release()
            except IndexError:  # another thread was faster
                return

    def _work(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        while not self._dismissed:
            self._serve(self._address)
            self._asleep.append(bell)
            if self._words[_REPLAY // 8]:  # a replay began since, and did not wake this thread
                self._wake()
            bell.acquire()

    def _dismiss(self) -> None:
        """End the threads before the interpreter shuts down."""
        self._dismissed = True
        for thread in self._threads:
            while thread.is_alive():
                self._wake()
                thread.join(0.001)


def name_yield() -> None:
    """Register the system's function that yields the core under the name YIELD."""
    system = ctypes.CDLL("kernel32").SwitchToThread if os.name == "nt" else ctypes.CDLL(None).sched_yield
    llvmlite.binding.add_symbol(YIELD, ctypes.cast(system, ctypes.c_void_p).value)
