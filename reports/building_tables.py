"""Tables of what each step of a path adds, and of the effects of crossed parts."""

from fusefront.reports import numbers
from fusefront.reports.cells import (
    ColumnHead,
    TableEntry,
    count_head,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
)
from fusefront.reports.evidence import Evidence
from fusefront.reports.tables import PLAN, Row, Table, runs_of
from fusefront.reports.words.building import part_name, plan_name
from fusefront.reports.words.reviewer import HEADING


def building(evidence: Evidence) -> Table:
    """One row a step of each path."""
    rows = tuple(
        Row(
            (
                TableEntry(chain.end, chain.end),
                plan_name(chain),
                TableEntry(f"+ {part_name(step.name)}", step.name),
                number_cell(step.auc, numbers.fixed(step.auc, numbers.AUC_PLACES)),
                number_cell(step.gain.value, numbers.signed(step.gain.value)),
                ends_cell(step.gain),
            ),
            run_ids=runs_of(evidence, chain.end),
        )
        for chain in evidence.ablations
        for step in chain.path
    )
    heads = (
        "strategy",
        PLAN,
        ColumnHead("part added", "part_added"),
        value_head("AUC with it", "auc"),
        value_head("AUC it adds", "gain"),
        ends_head("simultaneous interval", "gain"),
    )
    return Table("building", HEADING["building"], heads, rows)


RETRAINED = (
    "Each subset of the modalities is a model of its own, trained at the study's seeds: the "
    "Shapley value of each modality over {subsets}. The values sum to the AUC with all modalities "
    "less that with none; intervals hold for all of them at once{drawing}. The masked kind, one "
    "model from which modalities are hidden, is another question."
)


def retrained(evidence: Evidence) -> Table:
    """One row a modality of each plan that trained subsets of them, then one for all."""
    chains = [chain for chain in evidence.ablations if chain.shares]
    rows = tuple(
        Row(
            (
                TableEntry(chain.end, chain.end),
                plan_name(chain),
                share.modality,
                number_cell(share.auc.value, numbers.signed(share.auc.value)),
                ends_cell(share.auc),
            ),
            bar=share.auc,
            run_ids=runs_of(evidence, chain.end),
        )
        for chain in chains
        for share in chain.shares
    )
    heads = (
        "strategy",
        PLAN,
        ColumnHead("modality", "modality"),
        value_head("AUC it adds", "auc"),
        ends_head("simultaneous interval", "auc"),
    )
    drawn = any(share.drawing is not None for chain in chains for share in chain.shares)
    note = RETRAINED.format(
        subsets="drawn orders in which they come" if drawn else "all subsets",
        drawing=", with the error of the drawing in them" if drawn else "",
    )
    return Table("retrained", HEADING["retrained"], heads, rows, note, bars=4)


def crossing(evidence: Evidence) -> Table:
    """One row a main effect or interaction of each factorial plan."""
    rows = tuple(
        Row(
            (
                TableEntry(chain.end, chain.end),
                plan_name(chain),
                " × ".join(part_name(factor) for factor in effect.factors),
                " × ".join(part_name(level) for level in effect.levels),
                number_cell(effect.effect.value, numbers.signed(effect.effect.value)),
                ends_cell(effect.effect),
                TableEntry(str(effect.cells), effect.cells),
            ),
            run_ids=runs_of(evidence, chain.end),
        )
        for chain in evidence.ablations
        for effect in chain.effects
    )
    heads = (
        "strategy",
        PLAN,
        ColumnHead("part, or two", "factors"),
        ColumnHead("left out or set to", "levels"),
        value_head("effect on AUC", "effect"),
        ends_head("simultaneous interval", "effect"),
        count_head("groups of cells", "cells"),
    )
    return Table("crossing", HEADING["crossing"], heads, rows)
