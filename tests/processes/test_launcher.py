"""Launching for real: every test starts processes, and leaves none behind."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from launcher_stage import PRELOAD, hear, order, register

from supervisor.launcher import (
    ENTRIES,
    Exit,
    ForkLauncher,
    Launched,
    Launcher,
    Order,
    Reaper,
    SpawnLauncher,
    ThreadLauncher,
)
from supervisor.launcher.kernel import open_pidfd

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
STAGE = Path(__file__).with_name("launcher_stage.py")
SECONDS = 200.0  # six interpreters, one after the other, take long where fifty others want to run

ProcessLauncher = ForkLauncher | SpawnLauncher
KINDS: dict[str, Callable[[], ProcessLauncher]] = {
    "fork": lambda: ForkLauncher(preload=PRELOAD),
    "fork without a spare": lambda: ForkLauncher(preload=PRELOAD, spare=False),
    "spawn": SpawnLauncher,
    "spawn, portable reaper": lambda: SpawnLauncher(reaper=Reaper(pidfds=False)),
}


@pytest.fixture(autouse=True)
def _entries(monkeypatch):
    for name in list(ENTRIES):
        monkeypatch.setitem(ENTRIES, name, ENTRIES[name])
    before = set(ENTRIES)
    register()
    yield
    for name in set(ENTRIES) - before:
        del ENTRIES[name]


@pytest.fixture(params=["fork", "spawn"])
def kind(request):
    return request.param


every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    before = open_descriptors()
    yield
    assert open_descriptors() <= before  # one of an earlier test may be closed only now
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def open_descriptors() -> set[str]:
    return {link.name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody announces; `run` has the deadline."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)


@asynccontextmanager
async def started(launcher: Launcher) -> AsyncIterator[Launcher]:
    await launcher.start()
    try:
        yield launcher
    finally:
        await launcher.close()


def run(test: Callable[[ProcessLauncher], Awaitable[None]], launcher) -> None:
    async def main() -> None:
        async with asyncio.timeout(SECONDS), started(launcher):
            await test(launcher)

    asyncio.run(main())


async def read_all(descriptor: int) -> str:
    """Read until the other side is gone."""
    data = b""
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except BlockingIOError:
            await readable(descriptor)
            continue
        if not piece:
            return data.decode()
        data += piece


async def readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)


async def end(launched: Launched) -> Exit:
    launched.close()
    return await launched.wait_ended()


async def facts_of(launcher, **fields) -> dict:
    launched = await launcher.launch(order("facts", **fields))
    data = b""
    while piece := await hear(launched, 1 << 20):
        data += piece
    await end(launched)
    return json.loads(data)


# What a child finds.


@every_kind
def test_a_child_speaks_on_its_lifeline_and_ends_with_its_code(kind):
    async def test(launcher):
        launched = await launcher.launch(order("wait"))

        assert await hear(launched) == b"!"
        assert launched.poll_exit() is None
        assert await end(launched) == Exit(3)
        assert launched.poll_exit() == Exit(3)
        assert not launched.signal(signal.SIGTERM)

    run(test, KINDS[kind]())


def test_a_child_finds_the_surroundings_of_its_order_and_nothing_else(kind, tmp_path):
    odd = b"\xff".decode(errors="surrogateescape")

    async def test(launcher):
        env = {"PATH": os.environ["PATH"], "ODD": odd, "BIG": "x" * 100_000}
        found = await facts_of(launcher, cwd=str(tmp_path), env=env)

        assert found["cwd"] == str(tmp_path)
        assert found["env"]["ODD"] == odd
        assert found["env"]["BIG"] == "x" * 100_000
        assert found["env"]["OMP_NUM_THREADS"] == "1"
        assert "HOME" not in found["env"]
        assert found["path"] == list(order("facts").sys_path)
        assert found["ppid"] == os.getpid()
        assert found["session"] == found["group"] == found["pid"]
        assert found["stdin"] == os.devnull
        assert found["fds"] == [0, 1, 2, found["line"]]
        assert found["interrupt"]
        assert found["terminate"]
        assert found["blocked"] == []
        assert found["threads"] == 1

    run(test, KINDS[kind]())


def test_a_child_gets_the_descriptors_of_its_order_by_name(kind):
    async def test(launcher):
        page = os.memfd_create("page")
        os.ftruncate(page, 4096)
        launched = await launcher.launch(order("read_page", fds={"page": page}))
        how = await end(launched)

        assert how == Exit(0)
        assert os.pread(page, 20, 0) == b"written by the child"
        os.close(page)

    run(test, KINDS[kind]())


def test_an_order_far_larger_than_a_socket_buffer_arrives(kind):
    async def test(launcher):
        env = dict(os.environ) | {f"BIG{number}": "x" * 100_000 for number in range(10)}
        found = await facts_of(launcher, env=env)

        assert found["env"]["BIG9"] == "x" * 100_000

    run(test, KINDS[kind]())


def test_no_two_children_draw_the_same_random_numbers(kind):
    async def test(launcher):
        found = await asyncio.gather(*(facts_of(launcher) for _ in range(3)))

        assert len({one["random"] for one in found}) == 3
        assert len({one["numpy"] for one in found}) == 3

    run(test, KINDS[kind]())


def test_threads_of_an_order_reach_the_linear_algebra_that_is_loaded(kind):
    async def test(launcher):
        assert (await facts_of(launcher))["blas"] == [1]

        found = await facts_of(launcher, threads=2)
        assert found["blas"] == [2]
        assert found["env"]["OPENBLAS_NUM_THREADS"] == "2"

    run(test, KINDS[kind]())


# What it prints, and how it ends.


def test_stdout_and_stderr_arrive_apart_and_whole(kind):
    async def test(launcher):
        launched = await launcher.launch(order("chat"))

        assert await read_all(launched.stdout) == "to stdout\nno newline"
        assert await read_all(launched.stderr) == "to stderr\n"
        assert await end(launched) == Exit(0)

    run(test, KINDS[kind]())


def test_an_entry_that_raises_prints_its_traceback_and_ends_with_70(kind):
    async def test(launcher):
        launched = await launcher.launch(order("fail"))
        text = await read_all(launched.stderr)

        assert "launcher_stage.py" in text
        assert "ValueError: on purpose" in text
        assert await end(launched) == Exit(70)

    run(test, KINDS[kind]())


def test_sys_exit_of_an_entry_means_what_it_always_means(kind):
    async def test(launcher):
        launched = await launcher.launch(order("leave"))

        assert await read_all(launched.stderr) == "a last word\n"
        assert await end(launched) == Exit(1)

    run(test, KINDS[kind]())


def test_a_directory_that_is_gone_is_told_on_stderr(kind, tmp_path):
    async def test(launcher):
        launched = await launcher.launch(order("wait", cwd=str(tmp_path / "gone")))

        assert "FileNotFoundError" in await read_all(launched.stderr)
        assert await end(launched) == Exit(70)

    run(test, KINDS[kind]())


@every_kind
def test_a_killed_child_is_told_with_its_signal(kind):
    async def test(launcher):
        launched = await launcher.launch(order("stuck"))
        await hear(launched)
        told: list[tuple[int, Exit]] = []
        launched.when_ended(lambda pid, how: told.append((pid, how)))
        launched.signal(signal.SIGKILL)
        how = await launched.wait_ended()
        launched.close()

        assert how == Exit(signal=signal.SIGKILL)
        assert told == [(launched.pid, how)]
        assert str(how) == "killed by SIGKILL"

    run(test, KINDS[kind]())


def test_the_children_of_a_dead_child_die_with_it(kind):
    async def test(launcher):
        launched = await launcher.launch(order("family"))
        grandchild = os.pidfd_open(int.from_bytes(await hear(launched, 4)))
        launched.signal(signal.SIGKILL)
        await end(launched)
        await readable(grandchild)
        os.close(grandchild)

    run(test, KINDS[kind]())


def test_orphans_of_a_living_child_are_reaped():
    async def test(launcher):
        launched = await launcher.launch(order("orphaner"))
        await hear(launched)
        await until(lambda: not zombies())
        await end(launched)

    run(test, KINDS["fork"]())


def zombies() -> list[str]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in children if ") Z " in Path(f"/proc/{pid}/stat").read_text()]


def test_closing_the_launcher_kills_what_still_lives(kind):
    async def main() -> tuple[Launched, Launched]:
        async with started(KINDS[kind]()) as launcher:
            first = await launcher.launch(order("stuck"))
            second = await launcher.launch(order("wait"))
            await hear(first)
        await launcher.close()
        with pytest.raises(OSError, match="closed"):
            await launcher.launch(order("wait"))
        first.close()
        second.close()
        return first, second

    for launched in asyncio.run(main()):
        assert launched.poll_exit() == Exit(signal=signal.SIGKILL)


def test_an_unknown_entry_is_refused_with_the_known_ones(kind):
    async def test(launcher):
        with pytest.raises(LookupError, match=r"no entry 'nothing'.*actor, broker"):
            await launcher.launch(Order(name="a", entry="nothing"))

    run(test, KINDS[kind]())


@every_kind
def test_a_cancelled_launch_leaves_nothing(kind):
    async def test(launcher):
        for _ in range(5):
            launch = asyncio.ensure_future(launcher.launch(order("wait")))
            await asyncio.sleep(0)
            launch.cancel()
            await asyncio.wait([launch])  # and not with `suppress`, which takes our deadline's, too
            if not launch.cancelled():  # spawning has nothing to wait for
                await end(launch.result())
        launched = await launcher.launch(order("wait"))

        assert await hear(launched) == b"!"
        await end(launched)

    run(test, KINDS[kind]())


@types.coroutine
def cancelled_at(number: int, launch: Coroutine[Any, Any, Launched], when: str):
    """Carry out a launch, and cancel it at its await of this number, counted from 0.

    `when` is "waiting": what it waits for has not come; or "coming": it comes at the same moment.
    """
    for turn in count():
        try:
            future = launch.send(None)
        except StopIteration as end:
            return end.value
        if turn == number and when == "waiting":
            asyncio.current_task().cancel()
        try:
            yield future
        except asyncio.CancelledError as error:
            launch.throw(error)
            raise AssertionError("the launch went on though it was cancelled") from error
        if turn == number and when == "coming":
            launch.throw(asyncio.CancelledError())
            raise AssertionError("the launch went on though it was cancelled")
    raise AssertionError


@every_kind
@pytest.mark.parametrize("when", ["waiting", "coming"])
def test_a_launch_leaves_nothing_at_whichever_await_it_is_cancelled(kind, when):
    """What is left would be a descriptor or a process, which every test here looks for."""
    # More than a socket takes at once, so that sending it has to wait.
    env = dict(os.environ) | {f"BIG{number}": "x" * 100_000 for number in range(10)}

    async def test(launcher):
        for number in count():

            async def launch(number=number):
                return await cancelled_at(number, launcher.launch(order("wait", env=env)), when)

            launching = asyncio.create_task(launch())
            await asyncio.wait([launching])
            if not launching.cancelled():
                assert await hear(launching.result()) == b"!"
                assert await end(launching.result()) == Exit(3)
                break
        assert number > 0, "it was not cancelled once"

    run(test, KINDS[kind]())


# The zygote.


def test_a_zygote_forked_from_the_single_threaded_supervisor_works():
    code = (
        "import asyncio, launcher_stage as s\n"
        "async def main():\n"
        "    s.register()\n"
        "    l = s.ForkLauncher(preload=s.PRELOAD)\n"
        "    l.fork_zygote()\n"
        "    told = [s.Path(f'/proc/{p}/cmdline').read_text() for p in ('self', l.zygote_pid)]\n"
        "    print(told[0] == told[1])\n"
        "    await l.start(threads_exist=False)\n"
        "    c = await l.launch(s.order('wait'))\n"
        "    print((await s.hear(c)).decode())\n"
        "    c.close()\n"
        "    print(await c.wait_ended())\n"
        "    await l.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        env=stage_env(),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

    assert (done.stdout, done.stderr) == ("True\n!\nexit code 3\n", "")


def test_launches_survive_the_death_of_the_zygote_and_run_once():
    async def test(launcher):
        reader, writer = os.pipe()
        orders = [order("count_me", fds={"counter": writer}) for _ in range(10)]
        launches = [asyncio.ensure_future(launcher.launch(one)) for one in orders]
        for _ in range(3):
            victim = launcher.zygote_pid
            os.kill(victim, signal.SIGKILL)
            await until(lambda gone=victim: launcher.zygote_pid not in {gone, None})
        launched = await asyncio.gather(*launches)
        for _ in launched:
            await readable(reader)
            assert os.read(reader, 1) == b"x"

        assert [one.poll_exit() for one in launched] == [None] * 10
        for one in launched:
            await end(one)
        os.close(writer)
        assert os.read(reader, 100) == b""
        os.close(reader)

    run(test, KINDS["fork"]())


def test_children_do_not_notice_the_death_of_their_zygote():
    async def test(launcher):
        launched = await launcher.launch(order("wait"))
        await hear(launched)
        victim = launcher.zygote_pid
        os.kill(victim, signal.SIGKILL)
        await until(lambda: launcher.zygote_pid not in {victim, None})
        other = await launcher.launch(order("wait"))

        assert await hear(other) == b"!"
        assert launched.poll_exit() is None
        assert await end(launched) == Exit(3)
        assert await end(other) == Exit(3)

    run(test, KINDS["fork"]())


def test_a_module_that_cannot_be_preloaded_is_named():
    async def main() -> None:
        launcher = ForkLauncher(preload=["no_such_module"])
        with pytest.raises(ImportError, match="cannot preload 'no_such_module'"):
            await launcher.start()
        with pytest.raises(ImportError, match="cannot preload 'no_such_module'"):
            await launcher.launch(order("wait"))
        await launcher.close()

    asyncio.run(main())


def test_a_launch_that_nobody_prepared_starts_a_zygote():
    async def main() -> None:
        launcher = ForkLauncher(preload=PRELOAD)
        launched = await launcher.launch(order("wait"))

        assert await hear(launched) == b"!"
        assert await end(launched) == Exit(3)
        await launcher.close()

    asyncio.run(main())


# The death of the supervisor.


def stage_env(**more: str) -> dict[str, str]:
    # One thread, or numpy's own would keep the supervisor from forking.
    forced = {"PYTHONPATH": f"{ROOT}:{STAGE.parent}", "OPENBLAS_NUM_THREADS": "1"}
    return dict(os.environ) | forced | more


class Stage:
    """A supervisor in a process of its own, with an idle child, a stuck one, and a family."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(STAGE), kind],
            env=stage_env(XDG_RUNTIME_DIR=str(directory)),
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.zygote: int | None = told["zygote"]
        self.home = Path(told["home"])
        self.children = {name: open_pidfd(pid) for name, pid in told["children"].items()}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def still_alive(self, seconds: float, but: set[str] = frozenset()) -> set[str]:
        until = time.monotonic() + seconds
        waiting = {name: fd for name, fd in self.children.items() if name not in but}
        while waiting and (left := until - time.monotonic()) > 0:
            ended, _, _ = select.select(list(waiting.values()), [], [], left)
            waiting = {name: fd for name, fd in waiting.items() if fd not in ended}
        return set(waiting)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pidfd in self.children.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        self.process.stdout.close()


@pytest.fixture
def stage(request, tmp_path):
    directory = Path(f"/tmp/us-{os.getpid()}-{time.monotonic_ns() % 10**6}")
    directory.mkdir(mode=0o700)
    found = Stage(request.param, directory)
    yield found
    found.close()
    for leftover in sorted(directory.rglob("*"), reverse=True):
        leftover.rmdir() if leftover.is_dir() else leftover.unlink()
    directory.rmdir()


def gone_within(path: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while path.exists() and time.monotonic() < until:
        time.sleep(0.002)
    return not path.exists()


@pytest.mark.parametrize("stage", ["fork", "spawn"], indirect=True)
def test_a_killed_supervisor_leaves_no_process_and_no_file(stage):
    assert (stage.home / "socket").exists()
    stage.kill()
    began = time.monotonic()

    assert stage.still_alive(2.0) == set()
    assert gone_within(stage.home, 2.0 - (time.monotonic() - began))


@pytest.mark.parametrize("stage", ["fork"], indirect=True)
def test_the_zygote_ends_when_it_has_swept(stage):
    stage.children["zygote"] = open_pidfd(stage.zygote)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(stage.zygote, number)
    stage.kill()

    assert stage.still_alive(2.0) == set()
    assert not stage.home.exists()


@pytest.mark.parametrize("stage", ["fork"], indirect=True)
def test_children_die_with_the_supervisor_even_without_a_zygote(stage):
    os.kill(stage.process.pid, signal.SIGSTOP)  # so that it cannot start another zygote
    zygote = open_pidfd(stage.zygote)
    os.kill(stage.zygote, signal.SIGKILL)
    select.select([zygote], [], [])
    os.close(zygote)
    stage.kill()

    assert stage.still_alive(2.0, but={"grand"}) == set()


def test_a_child_whose_parent_died_before_it_could_ask_dies_at_once():
    code = "from supervisor.launcher.kernel import die_with_parent as d; d(1 << 22); print('alive')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=stage_env(), capture_output=True, check=False
    )

    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


# Threads.


def test_a_thread_keeps_the_promises_of_a_launcher():
    async def test(launcher):
        launched = await launcher.launch(order("wait"))

        assert launched.pid < 0
        assert await hear(launched) == b"!"
        assert await end(launched) == Exit(3)

    run(test, ThreadLauncher())


def test_a_thread_that_raises_ends_like_a_process(capsys):
    async def test(launcher):
        launched = await launcher.launch(order("fail"))

        assert await end(launched) == Exit(70)

    run(test, ThreadLauncher())
    assert "ValueError: on purpose" in capsys.readouterr().err


def test_killing_a_thread_cuts_its_lifeline_and_is_told_at_once():
    async def test(launcher):
        launched = await launcher.launch(order("wait"))
        await hear(launched)

        assert launched.signal(signal.SIGKILL)
        assert await end(launched) == Exit(signal=signal.SIGKILL)
        await until(lambda: "wait" not in {thread.name for thread in threading.enumerate()})

    run(test, ThreadLauncher())
