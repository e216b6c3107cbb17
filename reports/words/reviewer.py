"""Texts of the reviewer's half: headings, what each section shows, and what to run if it is empty.
English only."""

from collections import Counter

from fusefront.reports import numbers
from fusefront.reports.curves import epochs, trials, with_panels
from fusefront.reports.evidence import Ablation, Calibration, Evidence, MissingCurve, StudyFacts
from fusefront.reports.plane import ends, moved
from fusefront.reports.words.building import part_name, removals
from fusefront.reports.words.commands import on_study, that_trains
from fusefront.reports.words.names import label, shorten
from fusefront.reports.words.reasons import listed

HEADING = {
    "leaderboard": "Every strategy",
    "front": "The frontier in numbers",
    "cost": "What a request costs",
    "session": "How far the latencies hold",
    "scopes": "The model alone, and the whole request",
    "arriving": "Behind a queue",
    "at_once": "Many requests at once",
    "backends": "Other ways to serve",
    "metrics": "Other measures of quality",
    "ablation": "What each part is worth",
    "building": "Built up from the plainest model",
    "crossing": "Which parts depend on one another",
    "retrained": "What each modality adds, trained again without it",
    "calibration": "Do the probabilities hold?",
    "epochs": "Training curves",
    "trials": "Did tuning settle?",
    "fusing": "Which way of fusing: another search included",
    "searches": "What the searches spent",
    "importance": "Which hyper-parameters mattered",
    "winners": "The winning hyper-parameters, to copy",
    "missing": "When inputs are missing, noisy, stale or new",
    "codes": "What the codes keep",
    "widths": "How narrow a nested code may be",
    "slices": "Where it gains and where it does not",
    "gaps": "Gaps between groups",
    "worths": "What each modality adds",
    "controls": "Whether each modality is used",
    "weights": "How modalities are weighed",
    "what_if": "Which strategy wins where",
    "audit": "Audit of the data",
    "environment": "Environment",
    "runs": "Where each number comes from",
}
DISTURBED = {
    "items": "hidden, of the items",
    "requests": "hidden, of the requests",
    "noise": "noise on the vectors",
    "stale": "vectors of other items",
    "other": "vectors of a second file",
    "cold_items": "new items",
    "cold_users": "new users",
}
HOW = {  # how inputs were disturbed
    "items": "Vectors are hidden when serving, of items drawn at random.",
    "requests": "Vectors are hidden when serving, of all items of requests drawn at random.",
    "noise": "Every vector has noise added when serving, in deviations of each dimension.",
    "stale": "Items drawn at random have the vectors of other items when serving.",
    "other": "Items drawn at random have the vectors of a second file when serving.",
    "cold_items": "Items drawn at random have ids as if training had never shown them.",
    "cold_users": "Users drawn at random have no history.",
}
AT = {  # the greatest share of a curve
    "items": "{modality} hidden of {share} of the items",
    "requests": "{modality} hidden of {share} of the requests",
    "noise": "noise of {share} on {modality}",
    "stale": "{modality} of others for {share} of the items",
    "other": "{modality} of the file for {share} of the items",
    "cold_items": "{share} of the items new",
    "cold_users": "{share} of the users new",
}
ABSENT = {
    "cost": ("No latency was measured; `{bench}` times every strategy in one session."),
    "ablation": ("Nothing was taken apart; {ablate} trains {name} without each part."),
    "calibration": "No calibration was computed; `{compare}` does it.",
    "epochs": ("The runs left no curve: nothing was trained by epochs, or {run} has not finished."),
    "trials": (
        "There is no search of two trials or more; set `tuning.trials` in the study and run it "
        "again."
    ),
    "missing": (
        "Not measured; `{robustness}` hides and disturbs each modality at serving time and scores "
        "test again."
    ),
    "slices": (
        "The data set declares no slices; name them under `slices` in its spec and prepare it "
        "again."
    ),
    "what_if": (
        "Nothing to work out: no logged test request has two candidates and a price, or there is "
        "no baseline."
    ),
    "audit": ("The data were not audited; {run} audits them and writes the findings."),
    "environment": "The runs left no record of their environment.",
}
FRONT = (
    "Shares of the redraws: on the frontier; its bend, the point farthest above the line between "
    "the frontier's ends, which other strategies would move. The best has more: AUC that the best "
    "under the limit has over this one, whoever that is, mean and range over the redraws; zero for "
    "one that always is it. None over the limit."
)
COST = (
    "The ends of p99 are those that decide: the session's own interval, widened by how far equal "
    "sessions differ. Kept: the upper end is within the limit. Missed: the lower end is above it. "
    "Not known: neither, or fewer than 1,000 requests."
)
SCOPES = (
    "The same requests in both scopes, round by round. Model alone: the exported graph on arrays "
    "that are ready. Whole request: also the key lookup, history and fields put together into "
    "these arrays, and logits made probabilities; the gap is the time of that. "
)
ARRIVING = (
    "Requests arrive by themselves at random times and wait where one is served; late is later "
    "than the limit, from the time of arrival. The interval is over runs. Load 1 is as many as "
    "could be served back to back."
)
AT_ONCE = (
    "Throughput where nobody waits, as when scoring a log: latency of one such call is that of "
    "all its requests."
)
BACKENDS = (
    "The model alone, without the lookups around it, at the number of candidates that decides. "
    "onnx is what ships and what the decision reads. Differences are from the trained model: of a "
    "probability, and of the AUC where precision is reduced."
)
SLICES = (
    "Intervals hold for all slices and strategies at once and are therefore wide; every verdict is "
    "read off the interval beside it."
)
CODES = (
    "Mean and range over parts (or levels) and seeds. Variance kept: share of the vectors' "
    "variance that the code explains. Codebook use: share of a codebook's codes that some item "
    "has. Perplexity: how many codes they amount to if all were used equally often. Collision "
    "rate: share of items whose whole code another item has, too."
)
METHODS = (
    (
        "What is compared",
        "Every strategy sees the same rows and the same history; the best setting is trained "
        "again with every seed.",
    ),
    (
        "The difference and its interval",
        "Differences are paired: every strategy scores the same test rows. Each row (clustered by "
        "user or request) and each seed contributes its influence; together they give the 95% "
        "interval. It is widened so that all strategies' intervals hold at once, as the best one "
        "was picked; controls are a group of their own.",
    ),
    (
        "Better, worse, equivalent, cannot tell",
        "All are read off the ends of the interval beside them. Better or worse: it excludes zero; "
        "by less than the margin: it lies within the margin, too. Equivalent: it holds zero and "
        "lies within the margin. Not worse (not better) by more than the margin: that end alone "
        "lies within it. Otherwise the study cannot tell.",
    ),
    (
        "Latency",
        "One request on the exported model, one thread, item codes looked up. The interval comes "
        "from the rounds of the session, widened by how far two equal sessions differ, and speaks "
        "of this machine at that time only. A strategy keeps the limit only if the upper end of "
        "its p99 does; with fewer than 1,000 requests there is no p99.",
    ),
    (
        "The choice",
        "Of the strategies under the limit, those not worse by more than the margin than the one "
        "with the best lower bound of the gain, and of these the cheapest by p50.",
    ),
    (
        "The band",
        "Both axes are redrawn from their errors and the frontier is made again each time; the "
        "band holds the middle 95% at each latency.",
    ),
    (
        "Money",
        "Logged test requests are ranked again by each strategy and clicks among the top places "
        "counted; no AUC is ever multiplied by money.",
    ),
)


def methods(evidence: Evidence) -> tuple[tuple[str, str], ...]:
    """The methods in plain words; how much was searched is counted in the trials on record."""
    (head, text), *others = METHODS
    return ((head, f"{text} {_searched(evidence.study)}"), *others)


def _searched(study: StudyFacts) -> str:
    """How much was searched, as far as the records can be read."""
    finished, damaged = study.finished_trials, study.unreadable_trials
    if damaged:
        rows = [
            f"{name} {finished.get(name, 0):,}, {damaged.get(name, 0):,} records unreadable"
            for name in sorted({*finished, *damaged})
        ]
        return f"Finished tuning trials on record, some of which cannot be read: {'; '.join(rows)}."
    counts = set(finished.values())
    if not counts:
        return "No setting was searched."
    if len(counts) == 1:
        (count,) = counts
        return f"Every strategy that was searched has {count:,} finished tuning trials on record."
    listed = ", ".join(f"{name} {count:,}" for name, count in sorted(finished.items()))
    return f"Finished tuning trials on record differ by strategy: {listed}."


def absent(key: str, evidence: Evidence) -> str:
    """One sentence that says what to run for a missing section."""
    decision = evidence.decision
    name = decision.choice or decision.subject or decision.today or ""
    ablate, run = that_trains(evidence, "ablate", "--of", name), that_trains(evidence, "run")
    return ABSENT[key].format(
        bench=on_study(evidence, "bench"),
        compare=on_study(evidence, "compare"),
        robustness=on_study(evidence, "robustness"),
        ablate=f"`{ablate}`" if ablate and name else "an ablation of the study's file",
        run=f"`{run}`" if run else "running the study",
        name=name or "a strategy",
    )


def leaderboard(evidence: Evidence) -> str:
    """How to read the table."""
    today = evidence.decision.today
    over = (
        f"Bars: the paired difference from {today} with its 95% interval, all on one axis; the "
        "line is zero. "
        if today
        else ""
    )
    slo = numbers.ms_setting(evidence.decision.slo_ms)
    return f"{over}Sorted by AUC. Blue: the choice. Grey: not wholly under the {slo} limit."


def ablation(chain: Ablation) -> str:
    """Which parts are worth their cost, by their intervals."""
    hurts, helps, open_ = (
        [part_name(s.name) for s in chain.steps if moved(s) == way] for way in (-1, 1, 0)
    )
    mode = chain.mode if chain.mode.startswith("tuned") else "at the parent's hyper-parameters"
    lines = "black lines are 95% intervals of the paired difference"
    if chain.cells:
        return (
            "Each row is trained again without those parts, or with others in their place, "
            f"{mode}, at the same seeds; {lines}. AUC falls in {len(hurts)} of {len(chain.steps)} "
            f"combinations and rises in {len(helps)}; grey: not shown to matter (verdicts are "
            "adjusted over all of them)."
        )
    out = {part_name(step.name) for step in removals(chain)}
    sentences: list[str] = []
    for verb, names in (("falls", hurts), ("rises", helps)):
        left = [name for name in names if name in out]
        others = [name for name in names if name not in out]
        ways = [f"when {_or(left)} is left out"] if left else []
        ways += [f"with {_or(others)}"] if others else []
        if ways:
            subject = "It" if sentences else "AUC"
            sentences.append(f"{subject} {verb} {', or '.join(ways)}.")
    if open_:
        sentences.append(
            f"Not shown to matter (grey; verdicts are adjusted over all parts): {_and(open_)}."
        )
    other = "" if len(out) == len(chain.steps) else " or with what it names instead"
    lead = f"Each row is trained again without that part{other}, {mode}, at the same seeds; "
    return f"{lead}{lines}. {' '.join(sentences)}"


def building(chain: Ablation) -> str:
    """In which order parts were added, and what the intervals are of."""
    order = "The order is by what each part adds alone on validation"
    if chain.path_greedy:
        order = "Each step adds the part that adds most on validation to those before it"
    lead = (
        f"From the plainest form of {chain.end} that can be trained to the whole, each step "
        f"trained with all parts before it. {order}, so test chose nothing; black lines are "
        "intervals of the steps that hold for all of them at once (95%); grey: not shown to add "
        "anything."
    )
    if not chain.path_untrained:
        return lead
    count = chain.path_untrained
    subsets = "1 subset of the parts has" if count == 1 else f"{count} subsets of the parts have"
    return (
        f"{lead} {subsets} no completed runs, so that steps chose among the others: the order may "
        "be another with them."
    )


def crossing(chain: Ablation) -> str:
    """What lines that are not parallel say, and which interactions are shown."""
    pairs = [effect for effect in chain.effects if len(effect.factors) == 2]
    sure = [
        " and ".join(effect.factors)
        for effect in pairs
        if effect.effect.low is not None
        and effect.effect.high is not None
        and (effect.effect.low > 0 or effect.effect.high < 0)
    ]
    words = f"Shown to interact: {'; '.join(sure)}." if sure else "No pair is shown to interact."
    return (
        "Test AUC at both levels of two parts, mean over the levels of the others; parallel lines: "
        "what one part adds does not depend on the other. Intervals hold for all effects at once "
        f"(95%); grey pairs are not shown to interact. {words}"
    )


def calibration(evidence: Evidence) -> str:
    """How far from one, and what a temperature does."""
    first = evidence.calibration[0]
    text = (
        "Observed over predicted click rate on test rows in bins of equal count, with 95% "
        f"intervals; 1 is as predicted. {_bins_off(first)}"
    )
    if any(curve.scaled_predicted for curve in evidence.calibration):
        fitted = [
            f"{curve.strategy} {curve.temperature:.3f}"
            for curve in evidence.calibration
            if curve.temperature is not None
        ]
        return (
            f"{text} Hollow: logits divided by a temperature fitted on validation ({_and(fitted)})."
        )
    return (
        f"{text} No temperature was fitted; "
        f"`{on_study(evidence, 'compare', '--temperature')}` shows the scaled rates beside these."
    )


def _bins_off(curve: Calibration) -> str:
    bins = [
        (p, o) for p, o in zip(curve.predicted, curve.observed, strict=True) if o.low is not None
    ]
    off = sum(not ends(o)[0] <= p <= ends(o)[1] for p, o in bins)
    return (
        f"For {curve.strategy} the interval excludes the prediction in {off} of {len(bins)} bins."
    )


def training(evidence: Evidence) -> str:
    """What the panels show, and who is not among them."""
    chosen = with_panels(evidence)
    seeds = Counter(curve.strategy for curve in epochs(evidence))
    text = f"One line a seed (up to {max(seeds.values())}), common axes."
    if chosen.left_out:
        names = chosen.left_out[:6]
        more = len(chosen.left_out) - len(names)
        rest = [*names, f"{more} more"] if more else names
        text += f" Not drawn, far below or beyond the first panels: {_and(rest)}."
    return text


def convergence(evidence: Evidence) -> str:
    """Which searches had not settled: their AUC is a lower bound."""
    curves = trials(evidence)
    climbing = [curve.strategy for curve in curves if curve.settled is False]
    judged = [curve for curve in curves if curve.settled is not None]
    most = max(len(curve.value) for curve in curves)
    text = f"Up to {most} trials a strategy under one budget; thin lines are the other strategies."
    if not judged:
        return f"{text} They are too few to tell whether a search had settled."
    if not climbing:
        return f"{text} None of {len(judged)} judged still climbed in its last quarter."
    shown = climbing[:8] + ([f"{len(climbing) - 8} more"] if len(climbing) > 8 else [])
    verb = "climbed: its AUC is" if len(climbing) == 1 else "climbed: their AUC is"
    return f"{text} In its last quarter of trials {_and(shown)} still {verb} a lower bound."


def missing(evidence: Evidence, kinds: tuple[str, ...] = ("items",)) -> str:
    """How inputs were disturbed, and what that costs the strategy that page one is about."""
    assert evidence.missing is not None
    curves = [curve for curve in evidence.missing.curves if curve.kind in kinds]
    own = curves[0].strategy
    how = " ".join(HOW[kind] for kind in kinds if any(curve.kind == kind for curve in curves))
    text = f"{how} Nothing is trained again; bands are 95% intervals."
    losses = [_loss(c) for c in curves if c.strategy == own and c.shares[0] == 0]
    if losses:
        text += f" {own}, {_and(losses)}."
    return text


def _loss(curve: MissingCurve) -> str:
    change = curve.gain[-1].value - curve.gain[0].value
    share = numbers.percent(curve.shares[-1])
    words = AT[curve.kind].format(modality=shorten(curve.modality, 16), share=share)
    return f"{words}: {numbers.signed(change)} AUC"


def widths(evidence: Evidence) -> str:
    """The narrowest code that no run shows to be worse than the whole one."""
    lead = (
        "One training gives all widths; each line is a run, vertical lines are 95% intervals of "
        "the difference from the whole code on validation, users being independent."
    )
    sentences = []
    for name in dict.fromkeys(curve.strategy for curve in evidence.widths):
        own = [curve for curve in evidence.widths if curve.strategy == name]
        worse = {
            width
            for curve in own
            for width, change in zip(curve.widths, curve.change, strict=True)
            if change.high is not None and change.high < 0
        }
        every = sorted({width for curve in own for width in curve.widths})
        if worse:
            shown = ", ".join(f"{width}" for width in every if width in worse)
            sentences.append(
                f"{shorten(name, 60)}: some run is shown to lose at {shown} of {every[-1]}."
            )
        else:
            sentences.append(f"{shorten(name, 60)}: no width is shown to lose.")
    return " ".join([lead, *sentences])


def what_if(evidence: Evidence) -> str:
    """What a cell says."""
    currency = evidence.study.currency
    return (
        "Each cell: who wins under that limit, and its yearly gain over what runs today in "
        f"{currency} with its 95% interval; cannot tell: one may earn more and may lose. All "
        "prices are in tables/what_if.csv."
    )


def alt_text(evidence: Evidence, key: str) -> str:
    """What a figure shows to those who cannot see it: its caption holds the finding."""
    who = evidence.point(evidence.decision.choice or evidence.decision.subject)
    name = label(who) if who else evidence.study.name
    return {
        "crossing": "AUC at both levels of two parts, one panel a pair, one line a level.",
        "building": "AUC from the plainest model to the whole, one step a part.",
        "ablation": (
            "Bars of the change of AUC when each part is taken out; the table below holds every "
            "number."
        ),
        "scopes": (
            "p50 of the model alone and of the whole request, one row a strategy, and p99 of the "
            "whole; the table below holds every number."
        ),
        "arriving": "p99 from arrival over requests a second, one line a strategy, with the limit.",
        "at_once": "Predictions a second over requests in one call, one line a strategy.",
        "calibration": f"Observed over predicted click rate by bin, {name} and what runs today.",
        "epochs": "Validation AUC after each epoch, one panel a strategy, one line a seed.",
        "trials": (
            "Best validation AUC so far along the trials of each search, below its final best."
        ),
        "missing": (
            "AUC over the share that is disturbed, one panel a modality, for new items or for new "
            "users; the table below holds every number."
        ),
        "widths": (
            "Validation AUC against the whole code over the width of the code, one panel a "
            "strategy."
        ),
    }[key]


def _and(names: list[str]) -> str:
    return listed([shorten(n, 60) for n in names], "en")


def _or(names: list[str]) -> str:
    return _and(names).replace(" and ", " or ")
