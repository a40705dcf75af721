"""Publish and subscribe: two ventilators count to a hundred for ever, whoever listens.

    one ──1, 2, 3 …──▶ ┌────────┐ ──▶ fizz   hears the 3, 6, 9 …
    two ──1, 2, 3 …──▶ │ Number │ ──▶ buzz   hears the 5, 10, 15 …
                       └────────┘ ──▶ tardy  comes later, and hears the 3, 6, 9 … too

Publishers do not wait, and know nobody.  So a listener comes in the midst of the count: it waits
for a 100, then writes down a round.  Numbers of one publisher come in its order; those of two come
mixed, so a listener keeps a line for each.

Prints:
    buzz heard one: 20 Buzz in 1 2 3 4 Buzz 6 7 8 9 Buzz ... 96 97 98 99 Buzz
    buzz heard two: 20 Buzz in 1 2 3 4 Buzz 6 7 8 9 Buzz ... 96 97 98 99 Buzz
    fizz heard one: 33 Fizz in 1 2 Fizz 4 5 Fizz 7 8 Fizz 10 ... Fizz 97 98 Fizz 100
    fizz heard two: 33 Fizz in 1 2 Fizz 4 5 Fizz 7 8 Fizz 10 ... Fizz 97 98 Fizz 100
    tardy heard one: 33 Fizz in 1 2 Fizz 4 5 Fizz 7 8 Fizz 10 ... Fizz 97 98 Fizz 100
    tardy heard two: 33 Fizz in 1 2 Fizz 4 5 Fizz 7 8 Fizz 10 ... Fizz 97 98 Fizz 100
"""

from itertools import cycle

import supervisor
from actors import Actor, message, receive


@message
class Tick:
    """A ventilator's word to itself."""


@message
class Number:
    value: int


@message
class Round:
    """What a listener made of the numbers 1 to 100 of one ventilator."""

    listener: str
    ventilator: str
    words: list[str]


class Ventilator(Actor):
    seconds: float
    last: int = 100

    def on_start(self) -> None:
        self.numbers = cycle(range(1, self.last + 1))
        self.context.tell_every(self.seconds, Tick())

    @receive
    def tick(self, _msg: Tick) -> None:
        self.context.publish(Number(next(self.numbers)))


class Listener(Actor):
    divisor: int
    word: str
    last: int = 100

    def on_start(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.context.subscribe(Number)

    @receive
    def number(self, msg: Number) -> None:
        source = self.context.sender.name
        line = self.lines.get(source)
        if line is not None and msg.value == len(line) + 1:
            line.append(self.word if msg.value % self.divisor == 0 else str(msg.value))
        else:
            self.lines.pop(source, None)  # we, or the ventilator, had to begin again
        if msg.value == self.last:
            if line := self.lines.get(source):
                self.context.publish(Round(self.context.name, source, line))
            self.lines[source] = []


VENTILATORS = {"one": 0.005, "two": 0.007}  # seconds from one number to the next
LISTENERS = {"fizz": (3, "Fizz"), "buzz": (5, "Buzz"), "tardy": (3, "Fizz")}


def main() -> None:
    with supervisor.start() as system, system.subscribe(Round) as rounds:
        for name, seconds in VENTILATORS.items():
            system.spawn(Ventilator, name=name, seconds=seconds)
        for name, (divisor, word) in LISTENERS.items():
            system.spawn(Listener, name=name, divisor=divisor, word=word)
        heard: dict[tuple[str, str], list[str]] = {}
        while len(heard) < len(LISTENERS) * len(VENTILATORS):
            one = next(rounds)
            heard[one.listener, one.ventilator] = one.words
        for name in VENTILATORS:
            system.stop(name)
    for (listener, ventilator), words in sorted(heard.items()):
        word = LISTENERS[listener][1]
        some = " ".join([*words[:10], "...", *words[-5:]])
        print(f"{listener} heard {ventilator}: {words.count(word)} {word} in {some}")


if __name__ == "__main__":
    main()
