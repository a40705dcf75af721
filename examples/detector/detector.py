"""A detector sends frames to two file writers, which lose none, and to a live view, which is fresh.

    Detector ═ zmq_pushpull ═► FileWriter 1, 2     every frame, each stored once
        ▲  ╘══ zmq_pushpull ═► Forwarder ═ zmq_pubsub ═► LiveView     the newest
        └── Stored ── FileWriter

A packet that a killed writer had not stored is gone.  So the detector keeps each frame until it
hears that it is on disk, and sends it again when a writer has died.  Frames that come when it may
keep no more are dropped and counted: written + dropped = sent.

Prints:
    60 frames of 1035 x 1060 uint32: ... written, ... dropped, none missing, none twice
    a writer was killed; ... frames were sent again
    live view: ... frames in order, the oldest ... ms
    tcp ... MB/s
    ipc ... MB/s
    shm ... MB/s
"""

import hashlib
import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from roles import Detector, FileWriter, Health, LiveView, Look, Progress, Seen, Sink, Start, Took

import supervisor
from actors.streams import Writer
from actors.streams.forwarder import Forwarder

FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 60
RATE = float(sys.argv[2]) if len(sys.argv) > 2 else 40.0  # a second
SHAPE = (1035, 1060)


def expose(system: supervisor.System, folder: Path) -> tuple[Health, Seen]:
    """One exposure, in the midst of which a writer is killed."""
    files, raw, live = (
        {"class_name": f"zmq_{kind}", "endpoint": f"ipc://{folder}/{name}"}
        for kind, name in [("pushpull", "files"), ("pushpull", "raw"), ("pubsub", "live")]
    )
    system.spawn(Forwarder, name="proxy", source=raw, target=live)
    view = system.spawn(LiveView, name="view", source=live)
    detector = system.spawn(Detector, name="detector", shape=SHAPE, files=files, live=raw)
    for name in ("writer-1", "writer-2"):
        system.spawn(FileWriter, name=name, source=files, folder=str(folder), detector=detector)
    detector.ask(Start(FRAMES, RATE)).result()
    killed = False
    while not (health := detector.ask(Progress()).result()).done:
        if not killed and health.written >= FRAMES // 4:
            system.kill("writer-1")
            killed = True
        time.sleep(0.02)
    return health, view.ask(Look()).result()


def stored(folder: Path) -> int:
    """Compare every file with what the detector said of it; return how many there are."""
    metas = sorted(folder.glob("*.json"))
    for path in metas:
        data = path.with_suffix(".data").read_bytes()
        assert hashlib.sha256(data).hexdigest() == json.loads(path.read_bytes())["sha256"]
    return len(metas)


def speed(system: supervisor.System, place: dict[str, str]) -> float:
    """Frames to an actor, as fast as they go; bytes a second."""
    image = np.ones(SHAPE, "uint32")
    sink = system.spawn(Sink, source=place)
    with Writer(place) as writer:
        writer.wait_for_peer(timeout=20)
        answer = sink.ask(Took(15))
        while not answer.done():
            writer.write({}, image)
            with suppress(TimeoutError):  # the sink has what it wanted, and reads no more
                writer.flush(timeout=1)
        return answer.result()


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="us-", dir="/tmp") as name,
        supervisor.start() as system,
    ):
        folder = Path(name)
        health, seen = expose(system, folder)
        assert stored(folder) == health.written
        assert health.written + health.dropped == health.sent == FRAMES
        assert health.twice == 0
        print(
            f"{FRAMES} frames of {SHAPE[0]} x {SHAPE[1]} uint32: {health.written} written, "
            f"{health.dropped} dropped, none missing, none twice"
        )
        print(f"a writer was killed; {health.again} frames were sent again")
        assert seen.ordered
        print(f"live view: {seen.frames} frames in order, the oldest {seen.oldest * 1000:.0f} ms")
        for place in (
            {"class_name": "zmq_pushpull", "endpoint": "tcp://127.0.0.1:15703"},
            {"class_name": "zmq_pushpull", "endpoint": f"ipc://{folder}/speed"},
            {"class_name": "shm", "endpoint": f"shm://{folder.name}"},
        ):
            print(place["endpoint"][:3], f"{speed(system, place) / 1e6:,.0f} MB/s")
