"""Accounts of several processes against a table of what each has: nobody gets more than there is.

A process that is killed lets go of its lock and nothing else, so it is a copy of the file's opening
that is closed without a word.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from actors.arrays import accounts as room
from actors.arrays.accounts import Account, Accounts
from actors.arrays.allowance import Allowance
from actors.arrays.arena import Arena
from actors.arrays.sharing import Sharing
from actors.errors import SharedMemoryFull


class AccountsMachine(RuleBasedStateMachine):
    holders = Bundle("holders")

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "accounts"
        self.held = {}  # account -> (name, bytes), once it was asked
        self.number = 0

    @initialize(limit=st.integers(1, 100))
    def open(self, limit):
        self.limit = limit
        self.accounts = Accounts.create(self.path, limit)

    @rule(target=holders)
    def come(self):
        return Account(self.path, "x" * 80)

    @rule(holder=holders, size=st.integers(1, 60))
    def take(self, holder, size):
        before = self.held.get(holder, 0)
        fits = sum(self.held.values()) + size <= self.limit
        assert holder.take(size) == fits
        self.held[holder] = before + size * fits

    @rule(holder=holders, data=st.data())
    def give_back(self, holder, data):
        if self.held.get(holder):
            size = data.draw(st.integers(1, self.held[holder]))
            holder.give_back(size)
            self.held[holder] -= size

    @rule(holder=consumes(holders))
    def leave(self, holder):
        holder.close()
        holder.close()
        assert not holder.take(1)
        self.held.pop(holder, None)

    @rule(holder=consumes(holders))
    def be_killed(self, holder):
        opened, holder._accounts = holder._accounts, None
        if opened is not None:
            opened.close()
            del opened  # the map, which has a descriptor and so the lock too, goes with it
        self.held.pop(holder, None)

    @rule(holder=holders, sharing=st.builds(Sharing, *[st.integers(0, 2**40)] * 2))
    def describe(self, holder, sharing):
        holder.describe(sharing)
        if holder in self.held:
            assert sharing in [entry.sharing for entry in self.accounts.living()]

    @rule()
    def look(self):
        seen = self.accounts.living()
        assert sorted(entry.taken for entry in seen) == sorted(self.held.values())
        assert {(entry.name, entry.pid) for entry in seen} <= {("x" * 72, os.getpid())}
        assert self.accounts.limit == self.limit

    @rule(holder=holders, size=st.integers(1, 60))
    def ask_what_is_missing(self, holder, size):
        assert holder.missing(size) == max(0, sum(self.held.values()) + size - self.limit)
        self.held.setdefault(holder, 0)

    def teardown(self):
        for holder in self.held:
            holder.close()
        self.accounts.close()
        self.directory.cleanup()


TestAccountsMachine = AccountsMachine.TestCase
TestAccountsMachine.pytestmark = [pytest.mark.timeout(300)]


_RIVAL = """
import os, sys
from pathlib import Path
from actors.arrays.accounts import Account
account, ours, served = Account(Path(sys.argv[1]), "rival"), Path(sys.argv[2]), 0
print("ready", flush=True)
sys.stdin.read()
for _ in range(1000):
    if account.take(10):
        os.close(os.open(ours, os.O_CREAT | os.O_EXCL))  # nobody else is served now
        ours.unlink()
        account.give_back(10)
        served += 1
print(served)
"""


def test_of_processes_that_come_at_once_never_two_get_the_last_bytes(tmp_path):
    accounts = Accounts.create(tmp_path / "accounts", 10)
    command = [sys.executable, "-c", _RIVAL, tmp_path / "accounts", tmp_path / "mine"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    rivals = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for rival in rivals:
        assert rival.stdout.readline() == b"ready\n"
    served = [int(rival.communicate()[0]) for rival in rivals]

    assert [rival.returncode for rival in rivals] == [0, 0, 0]
    assert sum(served) > 30
    accounts.strike_off(-1)
    assert not accounts.taken
    accounts.close()


_PARENT = """
import os, pathlib, sys
from actors.arrays.accounts import Account
account = Account(pathlib.Path(sys.argv[1]), "parent")
assert account.take(60)
if os.fork():
    os.waitpid(-1, 0)
account.give_back(60)  # it is its parent's
account.close()
print("forked", flush=True)
sys.stdin.read()
"""


@pytest.mark.process
def test_what_a_killed_process_had_is_struck_off_though_a_child_that_it_has_forked_lives(tmp_path):
    path = tmp_path / "accounts"
    accounts = Accounts.create(path, 100)
    other = Account(path, "other")
    command = [sys.executable, "-c", _PARENT, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as parent:
        assert parent.stdout.readline() == b"forked\n"
        assert not other.take(50)
        parent.kill()
        parent.wait()

        assert other.take(50)
        assert accounts.taken == 50
    other.close()
    accounts.close()


def test_a_system_that_is_full_says_so_and_gets_room_from_idle_blocks(tmp_path):
    accounts = Accounts.create(tmp_path / "accounts", 10 << 20)
    arenas = [Arena(Allowance(8 << 20, Account(tmp_path / "accounts", "one"))) for _ in range(2)]
    kept = arenas[0].empty(6 << 20, "u1")
    with pytest.raises(SharedMemoryFull, match=r"of the 10,485,760 bytes that the processes of"):
        arenas[1].empty(6 << 20, "u1")
    for size in (1 << 20, 2 << 20, 3 << 20, 4 << 20):  # each in place of the one before
        arenas[1].empty(size, "u1")
        gc.collect()

    del kept
    assert accounts.taken == 10 << 20
    for arena in arenas:
        arena.close()
    assert not accounts.taken
    accounts.close()


def test_who_finds_no_account_shares_nothing(tmp_path, monkeypatch):
    accounts = Accounts.create(tmp_path / "accounts", 1 << 20)
    monkeypatch.setattr(room, "ACCOUNTS", 2)
    all_taken = [Account(tmp_path / "accounts", "one") for _ in range(2)]
    assert all(account.take(1) for account in all_taken)

    late = Allowance(1 << 20, Account(tmp_path / "accounts", "late"))
    assert not late.take(1)
    assert "no account with its system" in late.shortage(1)
    all_taken.pop().close()
    assert late.take(1)  # it is asked for again
    late.close()
    all_taken.pop().close()
    accounts.close()


def test_when_the_system_is_gone_nothing_is_shared_any_more(tmp_path):
    account = Account(tmp_path / "accounts", "one")

    assert not account.take(1)
    assert account.missing(1) == 1
    account.give_back(1)
    account.describe(Sharing(1))
    account.close()


def test_a_forked_child_ends_nothing_of_its_parents(tmp_path):
    accounts = Accounts.create(tmp_path / "accounts", 100)
    account = Account(tmp_path / "accounts", "parent")
    allowance = Allowance(1 << 20, account)
    assert allowance.take(60)
    pid = os.fork()
    if pid == 0:
        try:
            account.give_back(60)
            account.describe(Sharing(1))
            child = account.take(30)  # on an account of its own
            account.close()
            allowance.close()
            os._exit(0 if child and accounts.taken == 60 else 1)
        finally:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    [entry] = accounts.living()
    assert (entry.taken, entry.sharing) == (60, Sharing())
    accounts.strike_off(-1)
    allowance.give_back(60)
    allowance.close()
    assert not accounts.living()
    accounts.close()


def test_a_kernel_that_is_out_of_locks_keeps_what_was_taken_right(tmp_path):
    accounts = Accounts.create(tmp_path / "accounts", 100)
    one, other = (Account(tmp_path / "accounts", name) for name in ("one", "other"))
    assert one.take(60)
    assert other.take(40)
    opened = other._accounts
    # A descriptor that can only be read from is refused such locks, whoever has them.
    reading = os.open(tmp_path / "accounts", os.O_RDONLY)
    fd, opened._fd = opened._fd, reading

    assert not other.take(1)
    assert other.missing(1) == 1
    opened._fd = fd
    os.close(reading)
    assert accounts.taken == 100
    for account in (one, other):
        account.close()
    accounts.close()


def test_a_file_of_another_size_is_no_account_and_no_crash(tmp_path):
    path = tmp_path / "accounts"
    path.write_bytes(bytes(4096))

    assert not Account(path, "anybody").take(1)


def test_a_file_of_another_version_is_no_account(tmp_path):
    path = tmp_path / "accounts"
    Accounts.create(path, 100).close()
    assert Account(path, "anybody").take(1)
    with path.open("r+b") as file:
        file.seek(8)
        file.write(b"\0")

    late = Account(path, "anybody")
    assert not late.take(1)
    assert "of this version" in late.shortage()
