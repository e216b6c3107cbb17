"""Checks what `prepare` counted: rows left out, values read as absent or unknown to train."""

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import UserSample
from fusefront.datasets.store import PreparedDataset

LEAST, MANY = 0.01, 0.2
SAID_ELSEWHERE = "modality."  # reported in more detail by the check of missing modalities
LEFT_OUT = "A study does not see them: mend the files if they were meant to count."
ADVICE = {
    "time.day_alone": "Their order within the day is lost, and with it what came before them: "
    "write the time of day in every row.",
}


def check_counted(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Everything that was dropped, merged, read as absent or unknown, if it is over 1 %."""
    findings = []
    for key, loss in store.manifest.losses.items():
        if loss.share <= LEAST or (key.startswith(SAID_ELSEWHERE) and key.endswith(".absent")):
            continue
        of_rows = key.startswith(("rows.", "history."))
        grave = of_rows or key == "time.day_alone"
        findings.append(
            Finding(
                f"counted.{key}",
                "warning" if grave and loss.share >= MANY else "note",
                f"{loss.count:,} of {loss.of:,} ({percent(loss.share)}) {loss.what}.",
                ADVICE.get(key) or (LEFT_OUT if of_rows else "Models take such values as absent."),
                {"count": loss.count, "among": loss.of, "share": loss.share},
            )
        )
    return findings


def check_outside(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Files that were read from outside the data folder, as --allow-outside permits."""
    outside = store.manifest.outside
    if not outside:
        return []
    return [
        Finding(
            "outside",
            "note",
            f"{len(outside)} paths of the spec lay outside the data folder: {', '.join(outside)}.",
            "They were allowed with --allow-outside; who has only the folder cannot prepare again.",
            {"paths": len(outside)},
        )
    ]
