"""Planted evidence: invented numbers that are consistent with each other, for tests only."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from fusefront.reports.evidence import (
    Ablation,
    AblationStep,
    AuditFinding,
    Calibration,
    Case,
    Change,
    Decision,
    Evidence,
    FrontierBand,
    Interval,
    Lack,
    MissingCurve,
    MissingModality,
    Point,
    Reason,
    Replay,
    RunOrigin,
    Slice,
    StudyFacts,
    TrainingCurve,
    WhatIf,
    WhatIfRow,
)

MARGIN, SLO, TODAY, CHOICE, BASE = 0.001, 10.0, "late_weighted", "pca64", 0.6894
U = 1e-4
# key, label, family, gain, half, half against the choice, p99 [low, high], bytes an item, graph MB
ROWS = [
    ("popularity", "Popularity", "control", -990, 31, 33, 0.11, 0.10, 0.12, 4, 1),
    ("id_only", "Id only", "control", -112, 18, 19, 0.62, 0.59, 0.66, 128, 6),
    ("text_only", "Text only", "control", -31, 16, 17, 1.30, 1.25, 1.36, 384, 11),
    ("image_only", "Image only", "control", -68, 17, 18, 1.31, 1.26, 1.38, 384, 11),
    ("shuffled", "Shuffled vectors", "control", -115, 18, 18, 4.22, 4.02, 4.51, 896, 21),
    ("early_sum", "Early, sum", "early", -26, 14, 17, 1.12, 1.07, 1.18, 256, 12),
    ("early_concat", "Early, concat", "early", -12, 14, 17, 1.62, 1.56, 1.70, 512, 14),
    ("early_gmu", "Early, GMU", "early", 21, 14, 15, 2.02, 1.94, 2.11, 256, 13),
    ("early_lmf", "Early, LMF", "early", 5, 16, 17, 2.24, 2.15, 2.35, 256, 17),
    ("late_average", "Late, average", "late", -9, 6, 17, 2.81, 2.70, 2.93, 512, 18),
    ("late_weighted", "Late, weighted", "late", 0, 0, 19, 2.90, 2.78, 3.03, 512, 18),
    ("late_stacked", "Late, stacked", "late", 11, 8, 17, 3.34, 3.20, 3.49, 512, 19),
    ("pca16", "PCA-16", "compressed", 34, 17, 8, 2.52, 2.42, 2.64, 320, 16),
    ("pca32", "PCA-32", "compressed", 49, 18, 6, 3.12, 2.99, 3.27, 512, 18),
    ("pca64", "PCA-64", "compressed", 61, 19, 0, 4.20, 4.00, 4.50, 896, 21),
    ("pca128", "PCA-128", "compressed", 63, 19, 6, 6.61, 6.37, 6.90, 1664, 29),
    ("learned64", "Learned-64", "compressed", 64, 19, 6, 8.30, 8.02, 8.66, 896, 34),
    ("bilinear64", "PCA-64, bilinear", "compressed", 59, 19, 7, 9.90, 9.58, 10.31, 896, 38),
    ("rq_dcn", "RQ codes, DCNv2", "compressed", 40, 18, 9, 3.62, 3.47, 3.80, 152, 24),
    ("naml", "NAML", "published", -21, 17, 18, 1.90, 1.82, 1.99, 800, 15),
    ("din", "DIN", "published", 8, 15, 16, 3.90, 3.74, 4.09, 640, 20),
    ("make", "MAKE", "published", 52, 19, 7, 7.42, 7.15, 7.76, 1152, 41),
    ("qin", "QIN", "published", 69, 20, 6, 14.2, 13.8, 14.7, 1408, 64),
    ("momo", "momo", "published", 76, 21, 11, 46.1, 44.9, 47.6, 2304, 118),
]
ITEMS, SEEDS = 412_306, 5


def around(value: float, half: float, unit: float = U) -> Interval:
    return Interval(value * unit, (value - half) * unit, (value + half) * unit)


def judge(diff: float, half: float) -> str:
    """The words of the scheme, by a table of the two ends."""
    low, high, margin = diff - half, diff + half, MARGIN / U
    small = ", by less than the margin" if max(-low, high) < margin else ""
    if low > 0 or high < 0:
        return f"{'better' if low > 0 else 'worse'}{small}"
    if small:
        return "equivalent"
    if low > -margin:
        return "not worse by more than the margin"
    return "not better by more than the margin" if high < margin else "cannot tell"


def point(row: tuple[str, str, str, int, int, int, float, float, float, int, int]) -> Point:
    key, label, family, gain, half, half_choice, p99, low, high, size, graph = row
    verdict, versus = judge(gain, half), judge(gain - 61, half_choice)
    rows = None
    if verdict in ("cannot tell", "not worse by more than the margin"):
        rows = round(412_608 * ((half / max(abs(gain), abs(MARGIN / U - abs(gain)), 1)) ** 2 - 1))
    choice, feasible = key == CHOICE, high <= SLO
    return Point(
        strategy=key,
        label=label,
        family=family,
        description="compressed interaction (PCA-64, SENet + target attention)" if choice else "",
        role="device" if key == "shuffled" else "control" if family == "control" else "candidate",
        auc=Interval(BASE + gain * U, BASE + (gain - half - 6) * U, BASE + (gain + half + 6) * U),
        gain=around(gain, half),
        gain_vs_choice=around(gain - 61, half_choice),
        p50=Interval(p99 * 0.7, low * 0.72, high * 0.68),
        p99=Interval(p99, low, high),
        mean_ms=p99 * 0.71,
        feasible=feasible,
        on_frontier_probability=1 / (1 + abs(gain - 61) / 10),
        equivalent_to_choice=choice or versus == "equivalent" or "less than" in versus,
        verdict="" if key == TODAY else verdict,
        verdict_vs_choice="" if choice else versus,
        rows_to_settle=rows,
        seeds_to_settle=3 if rows else None,
        effect_to_settle=MARGIN if rows else None,
        seeds=1 if key == "popularity" else SEEDS,
        run_ids=tuple(
            f"{abs(hash((label, s))) % 16**12:012x}" if False else f"{i:012x}"
            for i, s in ((sum(map(ord, key)) * 97 + s, s) for s in range(SEEDS))
        ),
        config_hash=f"{sum(map(ord, key)) * 7919:08x}",
        parameters={"id_embedding": 400_000, "fusion": size * 10, "dense": graph * 1000},
        macs_per_candidate=size * 1000,
        bytes_per_item=size,
        bundle_bytes=ITEMS * size + graph * 1_000_000,
        cold_start_s=Interval(0.4 + size / 640, 0.35 + size / 640, 0.45 + size / 640),
        cost_per_million=p99 * 0.71 / 3.0 * 0.001,
        metrics={"logloss": Interval(0.18 - gain * U / 4), "gauc": Interval(0.66 + gain * U)},
    )


def points() -> tuple[Point, ...]:
    return tuple(point(row) for row in ROWS)


def band(all_points: tuple[Point, ...]) -> FrontierBand:
    rng = np.random.default_rng(5)
    gain = np.array([p.gain.value for p in all_points if p.gain])
    own = np.array([0.0004] * len(gain))
    x = np.log([p.p99.value for p in all_points if p.p99])
    grid = np.geomspace(0.5, 90, 400)
    draws = gain + 0.0007 * rng.standard_normal((500, 1)) + own * rng.standard_normal((500, len(x)))
    speed = x + 0.02 * rng.standard_normal((500, len(x)))
    heights = [np.where(speed <= np.log(g), draws, -np.inf).max(1) for g in grid]
    q = [
        np.quantile(h, [0.025, 0.5, 0.975]) if np.isfinite(h).all() else [None] * 3 for h in heights
    ]
    columns = [tuple(None if v is None else float(v) for v in c) for c in zip(*q, strict=True)]
    return FrontierBand(tuple(float(g) for g in grid), *columns, draws=2000)


def facts() -> StudyFacts:
    return StudyFacts(
        name="demo",
        dataset="planted-shop",
        rows_test=412_608,
        rows_train=3_301_120,
        rows_all=3_713_728,
        users=61_204,
        items=ITEMS,
        modalities={"text": 768, "image": 512, "audio": 128},
        seeds=SEEDS,
        runs=116,
        trials=40,
        date="2026-11-20",
        fingerprint="7c1e9a04d2b8",
        study_hash="7c1e9a04",
        hardware="8-core x86-64, 3.1 GHz",
        runtime="ONNX Runtime 1.32, one thread",
        candidates=100,
        history=64,
        price_core_hour=0.048,
        utilisation=0.40,
        synthetic=True,
    )


def changes() -> tuple[Change, ...]:
    return (
        Change("slo", 8.0, "at", "clear", CHOICE, changed=False),
        Change("slo", 12.0, "at", "clear", CHOICE, changed=False),
        Change("slo", 4.5, "below", "clear", "pca32", changed=True),
        Change("slo", 14.7, "from", "clear", "qin", changed=True),
        Change("margin", 0.0005, "at", "clear", "learned64", changed=True),
        Change("margin", 0.002, "at", "clear", CHOICE, changed=False),
        Change("price", 0.5, "at", "clear", CHOICE, changed=False),
        Change("price", 2.0, "at", "clear", CHOICE, changed=False),
    )


def decision() -> Decision:
    near = ("pca64", "pca128", "learned64")
    return Decision(
        case="clear",
        reason="better",
        slo_ms=SLO,
        margin=MARGIN,
        choice=CHOICE,
        today=TODAY,
        subject=CHOICE,
        leader="learned64",
        runner_up="pca128",
        feasible=tuple(p.strategy for p in points() if p.feasible),
        equivalent=near,
        alternatives=("pca128", "pca32", "qin"),
        changes=changes(),
        owner="Ranking team",
        date="2026-11-20",
        recheck="2027-02-20",
    )


def calibration() -> tuple[Calibration, ...]:
    predicted = np.array([46, 82, 121, 164, 215, 279, 366, 492, 712, 1343]) / 1e4
    curves = []
    for key, slope, ece in ((CHOICE, -0.035, 0.0012), (TODAY, -0.16, 0.0047)):
        rate = predicted * np.exp(slope * (np.log(predicted) - np.log(0.035)))
        half = 1.96 * np.sqrt(rate * (1 - rate) / 41_260)
        observed = tuple(
            Interval(*map(float, v)) for v in zip(rate, rate - half, rate + half, strict=True)
        )
        curves.append(Calibration(key, tuple(map(float, predicted)), observed, Interval(ece)))
    return tuple(curves)


def missing() -> MissingModality:
    shares = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    table = {
        "text": ((173, 165, 151, 126, 99, 70), (112, 101, 81, 46, 12, -20)),
        "image": ((173, 170, 164, 153, 141, 129), (112, 106, 96, 79, 63, 48)),
        "audio": ((173, 173, 172, 171, 170, 169), (112, 111, 110, 107, 104, 101)),
    }
    curves = [
        MissingCurve(key, modality, shares, tuple(around(v, half) for v in values))
        for modality, pair in table.items()
        for key, values, half in zip((CHOICE, TODAY), pair, (8, 9), strict=True)
    ]
    return MissingModality("id_only", tuple(curves))


def training() -> tuple[TrainingCurve, ...]:
    rng = np.random.default_rng(3)
    curves = []
    for row in ROWS[1:]:
        rate = 0.05 if row[0] == "momo" else rng.uniform(0.15, 0.3)
        best = BASE + row[3] * U - rng.uniform(50, 120) * U * np.exp(-rate * np.arange(40))
        best = np.maximum.accumulate(np.where(rng.random(40) < 0.6, best - 0.001, best))
        curves.append(TrainingCurve(row[0], "trials", tuple(map(float, best)), row[0] != "momo"))
    return tuple(curves)


def audit() -> tuple[AuditFinding, ...]:
    names = ("duplicate rows", "user in two splits", "event after the cut", "label in a feature")
    return tuple(AuditFinding(n, "ok") for n in names)


def full_evidence() -> Evidence:
    """A clear winner with every part present."""
    all_points = points()
    steps = (("text, PCA-64", 71, 9, 0.7), ("image, PCA-64", 32, 8, 0.6),
             ("audio, PCA-64", 4, 7, 0.5), ("target attention", 46, 8, 1.2),
             ("SENet", 20, 7, 0.58))  # fmt: skip
    result = tuple(
        AblationStep(n, around(g, h), Interval(ms), judge(g, h)) for n, g, h, ms in steps
    )
    names = (("cold items", 0.06, -21, 16), ("new users", 0.11, 9, 17), ("mobile", 0.64, 66, 21))
    slices = tuple(
        Slice(n, share, round(412_608 * share), around(d, h), judge(d, h))
        for n, share, d, h in names
    )
    rows = tuple(
        WhatIfRow(
            slo,
            price,
            500.0,
            value,
            "pca32" if slo < 4.5 else CHOICE,
            "clear",
            Interval(w, w / 2, w * 1.5),
        )
        for slo, price, value, w in (
            (4.0, 0.048, 0.01, 9e4),
            (10.0, 0.048, 0.01, 1.2e5),
            (10.0, 0.2, 0.01, 1.1e5),
        )
    )
    replay = Replay(
        10, Interval(54.1, 53.0, 55.2), Interval(52.4, 51.3, 53.5), Interval(1.7, 0.9, 2.5), 52_000
    )
    origins = tuple(
        RunOrigin(run, p.strategy, s, p.role, "completed", f"{s:064x}")
        for p in all_points
        for s, run in enumerate(p.run_ids)
    )
    return Evidence(
        study=facts(),
        decision=decision(),
        points=all_points,
        band=band(all_points),
        replay=replay,
        what_if=WhatIf(rows, ("Clicks per 1,000 impressions at top 10 by replay.",)),
        ablations=(Ablation(True, CHOICE, result, "id_only", around(-112, 18)),),
        calibration=calibration(),
        missing=missing(),
        training=training(),
        slices=slices,
        audit=audit(),
        environment={"processor": "8-core x86-64, 3.1 GHz", "runtime": "ONNX Runtime 1.32"},
        origins=origins,
        hashes={"study.yaml": "ab" * 32},
    )


def with_case(case: Case, reason: Reason) -> Evidence:
    """The same study where the policy ended otherwise, with numbers that bear it out."""
    base = full_evidence()
    change = {"case": case, "reason": reason}
    if case == "clear" and reason == "cheaper":
        rows = [(*r[:3], -3, 4, *r[5:]) if r[0] == "early_gmu" else r for r in ROWS]
        return replace(
            base,
            points=tuple(map(point, rows)),
            decision=replace(
                base.decision,
                **change,
                choice="early_gmu",
                subject="early_gmu",
                equivalent=("early_gmu", TODAY),
            ),
        )
    if case == "clear" and reason == "limit":
        rows = [(*r[:6], 10.9, 10.4, 11.8, *r[9:]) if r[0] == TODAY else r for r in ROWS]
        rows = [(*r[:3], 5, 16, *r[5:]) if r[0] == CHOICE else r for r in rows]
        return replace(
            base, points=tuple(map(point, rows)), decision=replace(base.decision, **change)
        )
    if case == "tie":
        small = 4 if reason == "equivalent" else 16
        rows = [(*r[:3], min(r[3], 3), small, *r[5:]) for r in ROWS]
        return replace(
            base,
            points=tuple(map(point, rows)),
            decision=replace(
                base.decision, **change, choice=TODAY, subject=CHOICE, equivalent=(TODAY, CHOICE)
            ),
        )
    if case == "infeasible":
        all_points = tuple(
            replace(p, feasible=False, equivalent_to_choice=False) for p in base.points
        )
        return replace(
            base,
            points=all_points,
            decision=replace(
                base.decision,
                **change,
                slo_ms=0.05,
                choice=None,
                subject="early_gmu",
                feasible=(),
                equivalent=(),
            ),
        )
    if case == "thin" and reason == "cannot_tell":
        rows = [(*r[:3], min(r[3], 5), 16, *r[5:]) for r in ROWS]
        return replace(
            base,
            points=tuple(map(point, rows)),
            decision=replace(
                base.decision,
                **change,
                choice=None,
                subject=CHOICE,
                lacks=(Lack("other", CHOICE, text="Test on more rows or train more seeds."),),
            ),
        )
    if case == "thin":
        lack = Lack("seeds", have=1, need=3, text="Every strategy has one seed.")
        return replace(
            base,
            decision=replace(base.decision, **change, choice=None, subject=CHOICE, lacks=(lack,)),
        )
    assert case in get_args(Case)
    return base


@pytest.fixture(name="full_evidence", scope="session")
def _full_evidence() -> Evidence:
    return full_evidence()


@pytest.fixture(name="with_case", scope="session")
def _with_case() -> Callable[[Case, Reason], Evidence]:
    return with_case


def crowd(size: int, seeds: int = SEEDS, draw: int = 1) -> Evidence:
    """The planted study with `size` strategies in all, the choice and today's among them."""
    rng = random.Random(draw)
    families = ("early", "late", "compressed", "published", "control")
    rows = [row for row in ROWS if row[0] in (CHOICE, TODAY)][:size]
    for at in range(size - len(rows)):
        p99 = 10 ** rng.uniform(-0.3, 1.7)
        gain = round(rng.gauss(0, 30) + 3 * min(p99, 10))
        bounds = (p99 * 0.96, p99 * 1.04)
        name = f"Strategy {at}"
        rows.append((f"s{at}", name, rng.choice(families), gain, 18, 18, p99, *bounds, 256, 15))
    points = tuple(
        replace(point, seeds=seeds, run_ids=tuple(f"{at:08x}{seed:04x}" for seed in range(seeds)))
        for at, point in enumerate(map(point, rows))
    )
    return replace(full_evidence(), points=points, band=band(points))


@pytest.fixture(name="crowd", scope="session")
def _crowd() -> Callable[..., Evidence]:
    return crowd
