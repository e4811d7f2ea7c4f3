from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from gmm_dask.errors import FormatError
from gmm_dask.store.owner import from_json, is_alive, this_process, to_json


def test_this_process_lives_and_is_told_apart() -> None:
    owner = this_process()
    assert is_alive(owner) is True
    assert is_alive(replace(owner, started=owner.started - 60)) is False, "a reused process id"
    assert is_alive(replace(owner, host="elsewhere")) is None
    assert is_alive(replace(owner, namespace="pid:[1]")) is None
    assert this_process().token != owner.token


def test_an_ended_process_is_gone_even_before_its_parent_noticed() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    booted = psutil.boot_time()
    started = psutil.Process(process.pid).create_time() - booted
    owner = replace(this_process(), pid=process.pid, started=started)
    assert is_alive(owner) is True
    process.kill()
    psutil.Process(process.pid)  # not waited for: a zombie from here on
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert is_alive(owner) is False
    process.communicate()
    assert is_alive(owner) is False


def test_a_process_of_another_user_is_not_declared_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = this_process()

    def deny(self: object) -> float:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "create_time", deny)
    assert is_alive(owner) is None


def test_json_there_and_back() -> None:
    owner = this_process()
    assert from_json(to_json(owner)) == owner
    for damage in (None, [], {}, {**to_json(owner), "pid": "1"}, {**to_json(owner), "token": 3}):
        with pytest.raises(FormatError):
            from_json(damage)
