"""Who hears which events: the decider against sets, and every publisher's own idea of the list."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.topics import Topics

TAGS = st.sampled_from(["t", "u"])
NAMES = st.sampled_from(["a", "b"])


class TopicsMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.topics = Topics()
        self.actors, self.streams = set(), []  # (tag, name)
        self.known = {}  # (tag, publisher) -> the names it was told last, with their version
        self.on_the_way = {}

    def names(self, tag):
        return {name for t, name in self.actors | set(self.streams) if t == tag}

    @rule(tag=TAGS, name=NAMES)
    def an_actor_subscribes(self, tag, name):
        if (tag, name) not in self.streams:  # a name is an actor's or a program's
            self.actors.add((tag, name))
            self.topics.subscribe(tag, name)

    @rule(tag=TAGS, name=NAMES)
    def a_program_opens_a_stream(self, tag, name):
        if (tag, name) not in self.actors:
            self.streams.append((tag, name))
            self.topics.join(tag, name)

    @rule(tag=TAGS, name=NAMES)
    def a_program_closes_a_stream(self, tag, name):
        if (tag, name) in self.streams:
            self.streams.remove((tag, name))
            self.topics.leave(tag, name)

    @rule(name=NAMES)
    def an_actor_is_gone(self, name):
        if not any(name == other for _, other in self.streams):
            left = self.topics.forget(name)
            assert sorted(left) == sorted(tag for tag, n in self.actors if n == name)
            self.actors = {(tag, n) for tag, n in self.actors if n != name}

    @rule(tag=TAGS, name=st.sampled_from(["p", "q"]))
    def a_publisher_comes(self, tag, name):
        if (tag, name) not in self.known:
            self.known[tag, name] = ()
            self.topics.follow(tag, name)

    @rule(tag=TAGS, name=st.sampled_from(["p", "q"]))
    def a_publisher_goes(self, tag, name):
        if self.known.pop((tag, name), None) is not None:
            self.on_the_way.pop((tag, name), None)
            self.topics.unfollow(tag, name)

    @rule(tag=TAGS, name=st.sampled_from(["p", "q"]))
    def a_list_is_sent(self, tag, name):
        if (tag, name) in self.known:
            news = (self.topics.version(tag), frozenset(self.topics.names(tag)))
            self.on_the_way.setdefault((tag, name), []).append(news)

    @rule(tag=TAGS, name=st.sampled_from(["p", "q"]))
    def a_list_arrives(self, tag, name):
        waiting = self.on_the_way.get((tag, name))
        if waiting:
            version, names = waiting.pop(0)
            self.known[tag, name] = names
            self.topics.seen(tag, name, version)

    @rule()
    def the_news_spread(self):
        for tag, name in self.known:
            self.a_list_is_sent(tag, name)
            while self.on_the_way[tag, name]:
                self.a_list_arrives(tag, name)

    @invariant()
    def the_list_names_everybody_once(self):
        for tag in ("t", "u"):
            names = self.topics.names(tag)
            assert len(names) == len(set(names))
            assert set(names) == self.names(tag)

    @invariant()
    def what_was_heard_is_what_every_publisher_would_send_to(self):
        for tag in ("t", "u"):
            if self.topics.heard(tag, self.topics.version(tag)):
                for (topic, _), names in self.known.items():
                    if topic == tag:
                        assert set(names) == self.names(tag)

    @invariant()
    def nothing_is_kept_for_nobody(self):
        busy = {tag for tag, _ in self.actors | set(self.streams) | self.known.keys()}
        assert {tag for tag, topic in self.topics._topics.items() if not topic.idle} == busy


TestTopics = TopicsMachine.TestCase


@pytest.mark.parametrize("end", ["gone", "closed", "first stream of two"])
def test_a_list_that_has_become_shorter_is_heard_only_when_it_was_seen(end):
    topics = Topics()
    topics.follow("t", "p")
    topics.join("t", "a")
    if end == "first stream of two":
        topics.join("t", "a")
    topics.seen("t", "p", topics.version("t"))

    if end == "gone":
        assert topics.forget("a") == ["t"]
    else:
        topics.leave("t", "a")

    shorter = end != "first stream of two"
    assert topics.names("t") == ([] if shorter else ["a"])
    assert topics.heard("t", topics.version("t")) is not shorter
