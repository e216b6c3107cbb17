"""The result of an audit: findings, worst first."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["severe", "warning", "note"]
Number = float | int | str
Json = dict[str, object]

SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "note")


class Finding(NamedTuple):
    """One finding; `name` is what a spec's `accept:` lists."""

    name: str
    severity: Severity
    title: str  # one sentence
    detail: str  # why it matters and what to do
    numbers: dict[str, Number]


@dataclass(frozen=True)
class AuditReport:
    """Every finding of one store, ranked, and the checks that found nothing or could not run."""

    dataset: str
    fingerprint: str
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]
    not_run: tuple[str, ...]  # checks that need times or histories which the data lack
    sampled_users: float  # share of the users whose rows were compared with each other

    def severe(self, accept: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        """Severe findings that are not accepted by name."""
        return tuple(f for f in self.findings if f.severity == "severe" and f.name not in accept)

    def to_json(self, accept: tuple[str, ...] = ()) -> Json:
        """A mapping that `json.dumps` takes."""
        return {
            "format": 1,
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "sampled_users": self.sampled_users,
            "findings": [
                {**f._asdict(), "text": f"{f.title} {f.detail}", "accepted": f.name in accept}
                for f in self.findings
            ],
            "passed": list(self.passed),
            "not_run": list(self.not_run),
        }


def percent(share: float) -> str:
    """
    >>> percent(0.1234), percent(0.00012), percent(1.0)
    ('12.3 %', '0.012 %', '100.0 %')
    """
    return f"{100 * share:.1f} %" if share >= 0.01 or share == 0 else f"{100 * share:.2g} %"
