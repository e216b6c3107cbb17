"""Commands as they run: the study's own name and store, quoted for a shell."""

import shlex

from fusefront.reports.evidence import Evidence

DEFAULT = ("", "out")  # where a command looks by itself


def on_study(evidence: Evidence, verb: str, *options: str) -> str:
    """A verb on the study by its name.

    >>> from fusefront.reports.evidence import Decision, StudyFacts
    >>> facts = StudyFacts("shop", "shop", 10, store="my out")
    >>> on_study(Evidence(facts, Decision("thin", "too_little", 1.0, 0.1), ()), "bench")
    "fusefront bench shop --out 'my out'"
    """
    place = _place(evidence, "--store" if verb == "report" else "--out")
    return shlex.join(["fusefront", verb, evidence.study.name, *place, *options])


def that_trains(evidence: Evidence, verb: str, *options: str) -> str:
    """A verb that needs the study's data; "" where it is not known where these lie."""
    return on_study(evidence, verb, *options) if evidence.study.again else ""


def reproduce(evidence: Evidence) -> str:
    """What to type for the same numbers: the study, or one of its runs, then the report."""
    again = that_trains(evidence, "run")
    if not again:
        whom = evidence.point(evidence.decision.choice) or evidence.point(evidence.decision.subject)
        runs = whom.run_ids if whom else ()
        place = _place(evidence, "--out")
        again = shlex.join(["fusefront", "reproduce", runs[0], *place]) if runs else ""
    return "\n".join(line for line in (again, on_study(evidence, "report")) if line)


def _place(evidence: Evidence, option: str) -> tuple[str, ...]:
    store = evidence.study.store
    return () if store in DEFAULT else (option, store)
