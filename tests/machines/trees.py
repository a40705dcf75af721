"""Trees for the state machines: any shape, strategy, intensity and restart kinds."""

from __future__ import annotations

import attrs
from hypothesis import strategies as st

from supervisor.spec import AutoShutdown, Child, Intensity, Pool, Restart, Strategy, Tree


class Actor:
    """Stands for any actor class."""


@st.composite
def trees(draw, depth=2, *, pools=True):
    """Draw a tree whose names are left open: they are numbered afterwards."""
    auto = draw(st.sampled_from(AutoShutdown))
    children = []
    for _ in range(draw(st.integers(0 if depth < 2 else 1, 3))):
        kind = draw(st.sampled_from(["child", "child", "tree", "pool"] if depth else ["child"]))
        restart = draw(st.sampled_from(Restart))
        may = auto is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
        significant = may and draw(st.booleans())
        match kind:
            case "tree":
                inner = draw(trees(depth - 1, pools=pools))
                inner = attrs.evolve(inner, restart=restart, significant=significant)
                children.append(inner)
            case "pool" if pools:
                children.append(Pool(Actor, name="x", size=draw(st.integers(1, 2))))
            case _:
                children.append(Child(Actor, name="x", restart=restart, significant=significant))
        children[-1] = renamed(children[-1], "abc"[len(children) - 1])
    return Tree(
        draw(st.sampled_from(Strategy)),
        Intensity(draw(st.integers(0, 3)), 5.0),
        children=children,
        auto_shutdown=auto,
    )


def renamed(spec, prefix):
    """Put a prefix before every name below, so that all differ: "a", "ba", "bb", ..."""
    match spec:
        case Child():
            return spec.named(prefix if spec.name == "x" else prefix + spec.name)
        case Pool():
            name = prefix if spec.name == "x" else prefix + spec.name
            return Pool(Actor, name=name, size=spec.size)
        case Tree():
            inner = [renamed(each, prefix) for each in spec.children]
            return attrs.evolve(spec, children=inner, name=prefix + (spec.name or "t"))
