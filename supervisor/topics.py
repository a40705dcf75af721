"""Who hears which events, and which publishers know that.  A decider.

    subscribe, join ─┐                             ┌─► the list every publisher is sent
    leave, forget ───┴─► a new version of the list ┤
                                                   └─► heard: has every publisher seen it?
    follow, seen, unfollow ─► what each publisher knows

A topic is the tag of one message class.  Events go from publishers to subscribers directly; here
is only who they are.  A subscription is complete when every publisher there is has seen it, so
whatever is published by anybody who learned of it reaches the subscriber.
"""

from __future__ import annotations

from typing import final


@final
class Topic:
    """One class of events."""

    def __init__(self) -> None:
        self.version = 1
        """Of the list of names; grows with every change."""
        self.subscribers: dict[str, int] = {}
        """By name: how often it has subscribed (a program may have several streams)."""
        self.publishers: dict[str, int] = {}
        """By name: the version it has seen."""

    @property
    def idle(self) -> bool:
        """Whether nobody has to do with it."""
        return not self.subscribers and not self.publishers


@final
class Topics:
    """Every topic of a system."""

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}

    def names(self, tag: str) -> list[str]:
        """Return the subscribers of a topic, in the order they came."""
        topic = self._topics.get(tag)
        return list(topic.subscribers) if topic is not None else []

    def version(self, tag: str) -> int:
        """Return the version of a topic's list."""
        return self._of(tag).version

    # --- subscribers

    def subscribe(self, tag: str, name: str) -> None:
        """An actor wants the events; twice is once."""
        if name not in self._of(tag).subscribers:
            self.join(tag, name)

    def join(self, tag: str, name: str) -> None:
        """A program wants the events, until it has left as often as it has joined."""
        topic = self._of(tag)
        count = topic.subscribers.get(name, 0)
        topic.subscribers[name] = count + 1
        topic.version += not count

    def leave(self, tag: str, name: str) -> None:
        """One subscription of a name is over."""
        topic = self._of(tag)
        count = topic.subscribers.get(name, 0)
        if count > 1:
            topic.subscribers[name] = count - 1
        elif count:
            del topic.subscribers[name]
            topic.version += 1
        self._tidy(tag)

    def forget(self, name: str) -> list[str]:
        """A name is gone: return the topics that it had subscribed to."""
        left = [tag for tag, topic in self._topics.items() if name in topic.subscribers]
        for tag in left:
            topic = self._topics[tag]
            del topic.subscribers[name]
            topic.version += 1
            self._tidy(tag)
        return left

    # --- publishers

    def follow(self, tag: str, name: str) -> None:
        """A publisher wants to know the list; it has seen none."""
        self._of(tag).publishers[name] = 0

    def unfollow(self, tag: str, name: str) -> None:
        """A publisher is gone."""
        self._of(tag).publishers.pop(name, None)
        self._tidy(tag)

    def seen(self, tag: str, name: str, version: int) -> None:
        """A publisher has got this version of the list, or a later one."""
        topic = self._topics.get(tag)
        if topic is not None and name in topic.publishers:
            topic.publishers[name] = max(version, topic.publishers[name])

    def heard(self, tag: str, version: int) -> bool:
        """Whether every publisher there is has seen this version."""
        topic = self._topics.get(tag)
        return topic is None or all(seen >= version for seen in topic.publishers.values())

    # --- inside

    def _of(self, tag: str) -> Topic:
        return self._topics.setdefault(tag, Topic())

    def _tidy(self, tag: str) -> None:
        if self._topics[tag].idle:
            del self._topics[tag]
