"""Looks at pods that are alike (`k8sfsm.node.alike`): the plan that came of one is cast anew for the next.

Of the second of two looks that are alike a mould is made (`k8sfsm.mould`). The first casts of every look are compared
with what the tables say, and given up where they differ; where K8SFSM_FROZEN is set, as it is in the tests, all are,
and one that differs is an error. A look that asks for more than `mark` and `question` tell is not cast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from operator import le
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.law import LawError
from k8sfsm.mould import Mould, Shapeless
from k8sfsm.node.alike import GROUPS, Course, Likeness, Mark, Question, question
from k8sfsm.node.session import Session
from k8sfsm.node.template import Template
from k8sfsm.objects import evolve
from k8sfsm.request import Plan, Step
from k8sfsm.view import View

COMPARED: Final = 1
"""How many casts of a look are compared with what the tables say."""
_SIZE: Final = 8192
CHECKED: Final = "K8SFSM_FROZEN" in os.environ
"""Everything that is cast is compared with what the tables say."""
_PLACE: Final = object()
"""Stands for what the memory that a look leaves has in common with others."""
_SENT: Final = object()
"""Stands for the revision at which the pod's status was sent."""
_SENT_AT: Final = 0
"""The place of that among the parts of a `Mark`."""

Cast: TypeAlias = Callable[[Sequence[Any]], Plan]


class Span:
    """How far apart the moments were in looks of one kind that came out the same, each from each: at least `low` and at
    most `high` (ns).
    """

    __slots__ = ("high", "low")

    def __init__(self, gaps: Sequence[int]) -> None:
        self.low = self.high = tuple(gaps)

    def has(self, gaps: Sequence[int]) -> bool:
        """No two moments were closer together, nor further apart, than they were before."""
        return all(map(le, self.low, gaps)) and all(map(le, gaps, self.high))

    def widen(self, gaps: Sequence[int]) -> None:
        """A look with such gaps came out the same."""
        self.low, self.high = tuple(map(min, self.low, gaps)), tuple(map(max, self.high, gaps))


class Form:
    """How looks of one shape come out. `lefts`: the likeness of the memories that they leave, by which of their moments
    were the same one. `spans`: for which looks that is known, by their kind.

    The tables ask of two moments which is the later one, and whether more than so much time lies between them. So what
    came out the same where two moments were close together and where they were far apart, does so in between; unless it
    depends on what comes again and again, such as the ticks of probes.
    """

    __slots__ = ("lefts", "mould", "spans")

    def __init__(self, mould: Mould) -> None:
        self.mould = mould
        self.lefts: dict[Hashable, Likeness] = {}
        self.spans: dict[Hashable, Span] = {}

    def covers(self, asked: Question) -> bool:
        """It is known that the look comes out so, though none of just these times has been looked at."""
        span = self.spans.get(asked.kind)
        return span is not None and span.has(_gaps(asked.ages))

    def holds(self, asked: Question) -> None:
        """A look was compared, and came out so."""
        span, gaps = self.spans.get(asked.kind), _gaps(asked.ages)
        if span is not None:
            span.widen(gaps)
            return
        if len(self.spans) >= _SIZE:
            self.spans.clear()
        self.spans[asked.kind] = Span(gaps)


def _gaps(ages: Sequence[int]) -> list[int]:
    return [one - other for place, one in enumerate(ages) for other in ages[:place]]


class Look:
    """A look, as it came out for one pod. `left`: the likeness of the memories that it leaves."""

    __slots__ = ("compared", "form", "hopeless", "left", "met")

    def __init__(self, template: Template) -> None:
        self.left = Likeness(template)
        self.met = 0
        self.compared = 0
        self.hopeless = False
        self.form: Form | None = None

    def take(self, form: Form, asked: Question) -> None:
        """It comes out in this form; what it leaves is alike with what others of the form leave."""
        self.form = form
        self.left = form.lefts.setdefault(tuple(map(asked.ages.index, asked.ages)), self.left)

    def give_up(self) -> None:
        """It is not cast any more."""
        self.hopeless, self.form = True, None


@frozen
class Glance:
    """A look at one moment: its mould, bound to the moments, and to the course of the memories that it leaves."""

    look: Look
    cast: Cast
    left: Course


@frozen
class Plain:
    """The plain way: `act` asks the tables about a session, and `planned` makes a plan of its steps."""

    act: Callable[[Session], list[Step]]
    planned: Callable[[Session, list[Step]], Plan]

    def plan(self, session: Session) -> Plan:
        """What the tables say."""
        return self.planned(session, self.act(session))


_LOOKS: dict[Hashable, Look] = {}
_GLANCES: dict[Hashable, Glance] = {}
_SHAPES: dict[Hashable, Form] = {}


def glanced(known: Mark) -> Plan | None:
    """The plan about a pod that is in the API, where looks like this one are known well."""
    course, what, parts = known
    latest = course.latest
    if latest is not None and latest[0] == what:
        plan: Plan = latest[1](parts)
        return plan
    found = _GLANCES.get((course, what))
    if found is None or found.look.compared < COMPARED or CHECKED:
        return None
    course.latest = (what, found.cast)  # the next look is most often alike
    return found.cast(parts)


def looked(session: Session, plain: Plain, known: Mark | None) -> Plan:
    """The plan that `plain` comes to about the pod. `known`: what the look reads."""
    asked = None if known is None or session.eviction is not None else question(session, known)
    if known is None or asked is None:
        return plain.plan(session)
    look = _LOOKS.get(asked.key)
    if look is None:
        if len(_LOOKS) >= _SIZE:
            _LOOKS.clear()
        look = _LOOKS[asked.key] = Look(session.memory.alike.likeness.template)
        form = _SHAPES.get(asked.shape)
        if form is not None and form.covers(asked):
            look.take(form, asked)
            look.compared = COMPARED
    if look.form is None:
        return _learnt(look, session, plain, known, asked)
    glance = _GLANCES.get(known[:2])
    if glance is None or glance.look is not look:
        if len(_GLANCES) >= _SIZE:
            _GLANCES.clear()
        left = _left(look, session, asked)
        glance = _GLANCES[known[:2]] = Glance(look, look.form.mould.bound(asked.moments, left), left)
    made = glance.cast(known[2])
    return _compared(glance, made, session, plain, asked) if look.compared < COMPARED or CHECKED else made


def _left(look: Look, session: Session, asked: Question) -> Course:
    return Course(look.left, asked.times, session.memory.alike.stamps)


class Watched:
    """A view that notes whether more is asked of it than the kubelet's Node and what is `told` anyway."""

    def __init__(self, view: View, node: str, told: tuple[str, ...]) -> None:
        self.view = view
        self.node = node
        self.told = told
        self.strange = False

    def get(self, kind: str, namespace: str, name: str) -> Any:
        """The object of that name, or None."""
        self.strange = self.strange or (kind, name) != ("Node", self.node)
        return self.view.get(kind, namespace, name)

    def __getattr__(self, name: str) -> Any:
        self.strange = self.strange or name not in self.told
        return getattr(self.view, name)


def _learnt(look: Look, session: Session, plain: Plain, known: Mark, asked: Question) -> Plan:
    """Look at the pod. At the second one that is alike a mould is made of what comes out; at the first one it is seen
    whether that of a look of the same shape, at other times, gives the same.
    """
    if look.hopeless:
        return plain.plan(session)
    look.met += 1
    sent_at, alike = session.memory.sent_at, _left(look, session, asked)
    watched: Any = Watched(session.view, session.settings.node, ("now", "runtime"))
    session.view = watched
    steps = plain.act(session)
    session.view = watched.view
    if watched.strange or session.deadline is not None or session.memory.sent_at != sent_at or not _goes_on(session):
        look.give_up()
        return plain.planned(session, steps)
    if look.met > 1:
        _make(look, session, plain, steps, known, asked)
        return _followed(session, plain, steps, alike)
    plan, form = _followed(session, plain, steps, alike), _SHAPES.get(asked.shape)
    if form is None:
        return plan
    if form.mould.bound(asked.moments, alike)(known[2]) != plan:
        form.spans.pop(asked.kind, None)
        return plan
    look.take(form, asked)
    look.compared = 1
    if not session.goes_round:
        form.holds(asked)
    made: Plan = form.mould.bound(asked.moments, _left(look, session, asked))(known[2])
    return made


def _make(look: Look, session: Session, plain: Plain, steps: list[Step], known: Mark, asked: Question) -> None:
    """Make the look's mould."""
    memory = session.memory
    session.memory = evolve(memory, alike=_PLACE, sent_at=_SENT)
    made = plain.planned(session, steps)
    session.memory = memory
    try:
        parts = (_SENT, *known[2][_SENT_AT + 1 :])
        form = Form(Mould(made, parts, asked.moments, (_PLACE,), GROUPS))
    except Shapeless:
        look.give_up()
        return
    look.take(form, asked)
    if len(_SHAPES) >= _SIZE:
        _SHAPES.clear()
    _SHAPES[asked.shape] = form


def _goes_on(session: Session) -> bool:
    """The pod is worked on as before, and all that is written is its status."""
    return not (session.writes or session.forgotten or session.memory.stage != "syncing" or session.asked_for_relist)


def _followed(session: Session, plain: Plain, steps: list[Step], alike: Course | None) -> Plan:
    """The plan; the memory after a look is alike with those after a look that is alike."""
    session.memory = evolve(session.memory, alike=alike)
    return plain.planned(session, steps)


def _compared(glance: Glance, made: Plan, session: Session, plain: Plain, asked: Question) -> Plan:
    """The plan that `plain` gives; a look whose cast is something else is not cast any more."""
    look, alike = glance.look, glance.left
    steps = plain.act(session)
    plan = _followed(session, plain, steps, alike)
    if _goes_on(session) and made == plan:
        look.compared += 1
        if look.form is not None and not session.goes_round:
            look.form.holds(asked)
        return plan
    if look.compared >= COMPARED:
        raise LawError(f"kubelet: {session.key} is not alike with others: {made} is not what the tables say")
    look.give_up()
    return _followed(session, plain, steps, None)
