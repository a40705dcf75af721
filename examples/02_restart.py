"""Messages that wait survive a kill -9; the one in progress is reported, never repeated.

Prints:
    killed life 1
    job 0: OutcomeUnknown
    ['1 by life 2', '2 by life 2', '3 by life 2']
    [(1, 9, True), (2, None, True)]
    lost: Hint(text='a rumour')
"""

import time

import supervisor
from actors import Actor, DeadLetter, Request, message, receive
from actors.errors import OutcomeUnknown


@message
class Work(Request[str]):
    job: int
    seconds: float = 0.0


@message
class Hint:
    text: str


class Worker(Actor):
    @receive
    def work(self, msg: Work) -> str:
        time.sleep(msg.seconds)
        return f"{msg.job} by life {self.context.incarnation}"

    @receive
    def hint(self, msg: Hint) -> None:
        raise ValueError(f"cannot use {msg.text!r}")


if __name__ == "__main__":
    with supervisor.start() as system:
        worker = system.spawn(Worker, name="worker")
        ends = system.watch(worker)
        losses = system.subscribe(DeadLetter)

        begun = worker.ask(Work(0, seconds=60))
        while system.status().actor("worker").state != "busy":
            time.sleep(0.01)
        waiting = [worker.ask(Work(job)) for job in (1, 2, 3)]
        print("killed life", system.kill("worker"))
        try:
            begun.result()
        except OutcomeUnknown as error:
            print("job 0:", type(error).__name__)
        print([reply.result() for reply in waiting])

        worker.tell(Hint("a rumour"))  # raises; nobody waits for an answer, so life 2 ends too
        print([(end.incarnation, end.signal, end.restarting) for end in (next(ends), next(ends))])
        print("lost:", next(losses).text)
