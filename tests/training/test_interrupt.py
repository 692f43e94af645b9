"""Signals as a request to stop, which the loop reads."""

import os
import signal
import threading

import pytest

from mtlkit.training.signals import SIGNALS, stop_on_signal


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish_and_the_second_stops(number):
    with stop_on_signal() as stop_request:
        assert not stop_request.requested
        os.kill(os.getpid(), number)
        assert stop_request.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", [one for one in SIGNALS if one != signal.SIGINT])
def test_a_scheduler_may_repeat_its_signal(number):
    with stop_on_signal() as stop_request:
        for _ in range(3):
            os.kill(os.getpid(), number)
        assert stop_request.requested


def test_handlers_come_back_after_an_error():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ZeroDivisionError), stop_on_signal():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_another_thread_leaves_signals_alone():
    before, inside = signal.getsignal(signal.SIGINT), []

    def work():
        with stop_on_signal():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
