# SPDX-License-Identifier: BSD-3-Clause
"""The table of damages: what each is called, what stele must say of it, and what a repair may do about it.

verdict  what `stele verify` says of the damage at its default place
             clean     nothing is wrong, and nothing is said
             harmless  clean, and one problem is named that a second copy heals (or that holds no record)
             torn      unfinished bytes behind the last record
             corrupt   data that had been acknowledged is damaged or missing
             refused   no verdict: not a log, another version, no permission (exit status 4)
             any       depends on the two directories; whatever is said must be true
kind     the kind of the problem that is named
append   goes-on: a writer opens the log (cutting what is torn); refuses: it does not, and changes no byte.
         Records of sealed segments are not read at an opening: damage in them stops verify, cat and repair, not append
repair   nothing   there is nothing to do
         mends     without giving up a record, needing no permission
         gives-up  only with --quarantine or --allow-data-loss
         refuses   never: it is not ours to change"""

import dataclasses

VERDICTS = ("clean", "harmless", "torn", "corrupt", "refused", "any")
REPAIRS = ("nothing", "mends", "gives-up", "refuses", "any")
ALL = {}


@dataclasses.dataclass
class Damage:
    name: str
    apply: object
    summary: str
    verdict: str
    kind: str
    append: str
    repair: str
    other: str  # what --other must be, or ""
    count: int  # default of --count, or 0


def damage(verdict, kind="", append="goes-on", repair=None, other="", count=0):
    """Put a function into the table, under its own name with - for _."""
    def note(function):
        usual = {"corrupt": "gives-up", "refused": "refuses"}.get(verdict, "nothing")
        name = function.__name__.replace("_", "-")
        entry = Damage(name, function, function.__doc__.strip(), verdict, kind, append, repair or usual, other, count)
        assert name not in ALL and verdict in VERDICTS and entry.repair in REPAIRS
        ALL[name] = entry
        return function
    return note
