"""Signals are noted, answered where that loses nothing, and never lost."""

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from babelfit.devices import preemption
from babelfit.devices.preemption import Preempted


@pytest.fixture(autouse=True)
def _handled() -> Iterator[None]:
    with preemption.handle_signals():
        yield


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no two signals for one."""
    monkeypatch.setattr(preemption, "SECONDS_BETWEEN", 0.0)


@pytest.mark.parametrize("number", preemption.SIGNALS)
def test_a_signal_is_noted_until_it_is_answered(number: int) -> None:
    with preemption.note_signals():
        send(number)
        assert preemption.is_requested()
        with pytest.raises(Preempted, match=signal.Signals(number).name):
            preemption.answer()


def test_nothing_is_answered_where_nothing_came() -> None:
    with preemption.note_signals():
        preemption.answer()
    assert not preemption.is_requested()


class _Sends:
    """Send a signal in the destructor, out of which no exception comes."""

    def __init__(self) -> None:
        self.itself = self  # for the collector alone

    def __del__(self) -> None:
        send()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("swallow", ["destructor", "bare except", "destructor of another"])
def test_a_signal_whose_exception_would_be_swallowed_is_not_lost(swallow: str) -> None:
    with preemption.note_signals():
        if swallow == "bare except":
            with suppress(BaseException):
                send()
        else:
            _Sends()
            if swallow == "destructor of another":
                _Sends()
            gc.collect()
        with pytest.raises(Preempted):
            preemption.answer()


@pytest.mark.usefixtures("later")
def test_another_signal_later_is_answered_at_once_and_so_is_each_that_follows() -> None:
    with preemption.note_signals():
        send()
        for _ in range(3):
            with pytest.raises(Preempted):
                send()


def test_signals_that_come_together_are_one() -> None:
    with preemption.note_signals():
        send()
        send(signal.SIGUSR1)
        with pytest.raises(Preempted):
            preemption.answer()


def test_what_takes_long_and_leaves_nothing_half_done_is_broken_off_at_once() -> None:
    def broken_off() -> None:
        with preemption.note_signals(), preemption.break_off_at_once():
            send()
            pytest.fail("it went on")

    with pytest.raises(Preempted):
        broken_off()


def test_what_is_broken_off_and_swallows_that_ends_with_it() -> None:
    with preemption.note_signals():
        with pytest.raises(Preempted), preemption.break_off_at_once(), suppress(BaseException):
            send()
        assert not preemption._signals.at_once, "within what only notes"


def test_what_came_before_is_answered_before_work_begins() -> None:
    with suppress(Preempted):
        send()
    with pytest.raises(Preempted), preemption.note_signals():
        pytest.fail("it began")


@pytest.mark.usefixtures("later")
def test_a_command_that_ends_already_is_left_to_end() -> None:
    preemption.close()
    send()
    send()
    preemption.answer()
