"""`init`: inspects a folder's tables and arrays and proposes a commented spec, in which every guess
is marked."""

from collections.abc import Sequence
from pathlib import Path

from fusefront.datasets.allowed import NOTHING, Allowed
from fusefront.datasets.durable import temporary_folder
from fusefront.datasets.proposing.counters import guess_counters
from fusefront.datasets.proposing.draft import Draft
from fusefront.datasets.proposing.files.folder import look
from fusefront.datasets.proposing.files.tables import read_tables
from fusefront.datasets.proposing.guessing import guess_draft
from fusefront.datasets.proposing.rehearsal import rehearse
from fusefront.datasets.proposing.roles import find_roles


def propose(paths: Sequence[Path], allowed: Allowed = NOTHING) -> str:
    """YAML text for a person to edit; raises DataContractError if no interaction log is found."""
    return draft(paths, allowed).text()


def draft(paths: Sequence[Path], allowed: Allowed = NOTHING) -> Draft:
    """The proposal: guessed from the files, tried on a sample of them, unknown where that fails."""
    folder = look(paths, allowed)
    with temporary_folder("init") as scratch:
        tables, unread = read_tables(folder, scratch / "samples")
        roles = find_roles(tables, folder.root, folder.unused | unread)
        proposal = guess_draft(folder, roles, unread)
        rehearse(proposal, folder.root, roles, scratch)
        proposal.counters = guess_counters(proposal)
    return proposal
