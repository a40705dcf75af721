"""A calculator in a process of its own, killed and back before the second question.

Prints:
    3.0
    7.0
"""

import supervisor
from actors import Actor, Request, message, receive


@message
class Add(Request[float]):
    x: float
    y: float


class Calculator(Actor):
    @receive
    def add(self, msg: Add) -> float:
        return msg.x + msg.y


if __name__ == "__main__":
    with supervisor.start() as system:
        calc = system.spawn(Calculator, name="calc")
        print(calc.ask(Add(1, 2)).result())
        system.kill("calc")  # kill -9; the supervisor restarts it
        print(calc.ask(Add(3, 4)).result())  # the ref survives
