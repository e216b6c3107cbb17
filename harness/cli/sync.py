"""`fusefront sync`: replay the offline mirrors to a Weights & Biases server."""

from pathlib import Path

from fusefront.harness.cli.options import DryRun, Out


def sync(out: Out = Path("out"), dry_run: DryRun = False) -> None:
    """Mirror what is not mirrored yet, then hand the offline runs to `wandb sync`.

    A run keeps its id, so a second sync makes no duplicate.
    """
    import subprocess
    import sys

    from fusefront.harness.cli.show import console
    from fusefront.harness.errors import FusefrontError, NothingToDoError
    from fusefront.harness.runs.table import summaries
    from fusefront.harness.runs.tracking import mirror

    rows = summaries(out, {})
    if not rows:
        raise NothingToDoError(f"no runs under {out}")
    mirrored = sum(mirror(Path(str(row["path"]))) for row in rows)
    folders = [
        str(folder)
        for row in rows
        for folder in sorted((Path(str(row["path"])) / "wandb").glob("offline-run-*"))
    ]
    console().print(f"{mirrored} runs mirrored now, {len(folders)} offline runs to sync")
    if dry_run:
        return
    process = subprocess.run([sys.executable, "-m", "wandb", "sync", *folders], check=False)
    if process.returncode:
        raise FusefrontError(
            f"wandb sync ended with code {process.returncode}; log in (`wandb login`) and sync again"
        )
