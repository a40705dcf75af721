"""Request and reply: three clients say hello to a world that gets up after them.

    anna  ──Hello──▶ ┌───────┐
    bert  ──Hello──▶ │ world │    one answer for each question, and it goes to whoever asked
    cleo  ──Hello──▶ └───────┘

A tree starts its children in order, so every client has asked before there is a world.  It is
declared in the same tree: what is sent to it waits at its sender, and nobody has to try again.

Prints:
    anna heard World World World World World World World World World World
    bert heard World World World World World World World World World World
    cleo heard World World World World World World World World World World
    World was asked 30 times
"""

import supervisor
from actors import Actor, ActorRef, Request, message, receive
from supervisor import Child, Tree


@message
class Hello(Request[str]):
    pass


@message
class Heard(Request[list[str]]):
    """What were you told?"""


@message
class HowOften(Request[int]):
    pass


class Client(Actor):
    world: ActorRef

    def on_start(self) -> None:
        self.replies = [self.world.ask(Hello()) for _ in range(10)]  # nobody is there yet

    @receive
    async def heard(self, _msg: Heard) -> list[str]:
        return [await reply for reply in self.replies]


class World(Actor):
    asked = 0

    @receive
    def hello(self, _msg: Hello) -> str:
        self.asked += 1
        return "World"

    @receive
    def how_often(self, _msg: HowOften) -> int:
        return self.asked


CLIENTS = ("anna", "bert", "cleo")

tree = Tree(
    children=[
        *(Child(Client, name=name, world="world") for name in CLIENTS),
        Child(World, name="world"),
    ]
)


def main() -> None:
    with supervisor.start(tree) as system:
        for name in CLIENTS:
            print(name, "heard", *system.ref(name).ask(Heard()).result())
        print("World was asked", system.ref("world").ask(HowOften()).result(), "times")


if __name__ == "__main__":
    main()
