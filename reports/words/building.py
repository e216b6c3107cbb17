"""What to build first, in three sentences: the surest part, what each part adds to those before,
and which parts are not shown to add anything."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Ablation, AblationStep, Interval
from fusefront.reports.plane import moved
from fusefront.reports.words.phrase import (
    Bracket,
    Language,
    Name,
    Phrase,
    Sentence,
    sentence,
)

REMOVED = ("modality", "component")
HEADING = Phrase("What to build first in {name}", "{name}で最初に採るべきもの")
HEADING_TUNED = Phrase(
    "What to build first in {name}, tuned again at every step",
    "{name}で最初に採るべきもの（毎回再チューニング）",
)
FIRST = {
    "free": Phrase(
        "Build {part} first: without it {name} loses {loss} AUC {interval}, and it costs nothing "
        "measurable.",
        "最初は{part}：{name}から外すとAUCが{loss} {interval}下がり、測定できる費用はない。",
    ),
    "timed": Phrase(
        "Build {part} first: without it {name} loses {loss} AUC {interval}; it adds {ms} {more} "
        "at {quantile}{ratio}.",
        "最初は{part}：{name}から外すとAUCが{loss} {interval}下がり、"
        "{quantile}に{ms} {more}加わる{ratio}。",
    ),
    "untimed": Phrase(
        "Build {part} first: without it {name} loses {loss} AUC {interval}; its latency was not "
        "measured.",
        "最初は{part}：{name}から外すとAUCが{loss} {interval}下がる。レイテンシは測定していない。",
    ),
    "nothing": Phrase(
        "No part of {name} is shown to add AUC by itself.",
        "{name}には、単独でAUCを上げると示された部分はない。",
    ),
}
RATIO = Phrase(
    ", {value} AUC a millisecond {interval}",
    "（1ミリ秒あたりAUC {value} {interval}）",
)
PATH = Phrase(
    "From the plainest model ({base}AUC {start}) up, {steps}; all parts together add {total}.",
    "最も単純な構成（{base}AUC {start}）に加えると、{steps}、全部で{total}となる。",
)
STEP = Phrase("{part} adds {gain} {interval}", "{part}で{gain} {interval}")
AFTER = Phrase(
    "{part}, given {before}, {gain} {interval}", "{before}の後の{part}で{gain} {interval}"
)
BEFORE = Phrase("the {count} parts before it", "先の{count}部分")
NO_MORE = Phrase("no other step is shown to add any", "ほかの段は増加が示されず")
NO_STEP = Phrase("no single step is shown to add AUC", "増加が示された段はなく")
NEXT = Phrase(
    "Next, by the lower end of what they add: {parts}.",
    "次は、増分の下限の順に{parts}。",
)
ALONE = Phrase(
    "No other part is shown to add AUC by itself.",
    "ほかに、単独でAUCを上げると示された部分はない。",
)
LAST = {
    "open": Phrase(
        "Not shown to add anything: {parts}{mde}.",
        "効果が示されていないもの：{parts}{mde}。",
    ),
    "harm": Phrase(
        "AUC rises when {parts} is left out.",
        "{parts}は外したほうがAUCが上がる。",
    ),
    "all": Phrase(
        "Every part is shown to add AUC.",
        "どの部分もAUCを上げると示されている。",
    ),
}
MDE = Phrase(
    " (a difference of {value} would be seen with 80% power)",
    "（差が{value}なら検出力80%で見える）",
)
MOST = 4  # parts in a sentence
STEPS = 2  # of a path in a sentence


def main_ablation(ablations: tuple[Ablation, ...]) -> Ablation | None:
    """The ablation on page one: one with a path comes first, then one with the parent's own
    hyper-parameters, then that with the most parts."""
    usable = [each for each in ablations if not each.additive and removals(each)]
    return max(
        usable,
        key=lambda each: (bool(each.path), not is_tuned(each), len(each.steps)),
        default=None,
    )


def is_tuned(ablation: Ablation) -> bool:
    """Whether each of its strategies was searched again."""
    return ablation.mode.startswith("tuned")


def plan_name(ablation: Ablation) -> str:
    """Which plan it is, and whether its strategies were tuned again."""
    tuned = is_tuned(ablation)
    plan = ablation.plan.removesuffix("-retuned") if tuned else ablation.plan
    plan = "minimal" if tuned and plan == "retuned" else plan
    return f"{plan}, tuned again" if tuned else plan


def removals(ablation: Ablation) -> list[AblationStep]:
    """The steps in which a part is left out."""
    return [step for step in ablation.steps if step.kind in REMOVED or not step.kind]


def build_first(ablation: Ablation, language: Language) -> list[Sentence]:
    """Three sentences."""
    return [
        _first(ablation, language),
        _path(ablation, language) if ablation.path else _next(ablation, language),
        _last(ablation, language),
    ]


def _first(ablation: Ablation, language: Language) -> Sentence:
    by_name = {step.name: step for step in removals(ablation)}
    step = next((by_name[name] for name in ablation.first if name in by_name), None)
    if step is None:
        return sentence(FIRST["nothing"], language, name=Name(ablation.end))
    values: dict[str, str] = {
        "part": Name(part_name(step.name)),
        "name": Name(ablation.end),
        "loss": numbers.fixed(-step.gain.value, numbers.AUC_PLACES),
        "interval": _bracket(turned(step.gain)),
    }
    cost = step.cost
    if cost is None or cost.p50 is None:
        return sentence(FIRST["untimed"], language, **values)
    added, quantile = cost.p50, "p50"
    if not cost.measurable:
        if cost.p99 is None or not cost.measurable_p99:
            return sentence(FIRST["free"], language, **values)
        added, quantile = cost.p99, "p99"
    ratio = ""
    if cost.measurable and cost.auc_per_ms is not None:
        ratio = RATIO.pattern(language).format(
            value=numbers.significant(cost.auc_per_ms.value), interval=_bracket(cost.auc_per_ms)
        )
    return sentence(
        FIRST["timed"],
        language,
        **values,
        ms=numbers.ms(added.value, 2),
        more=_bracket(added, 2),
        quantile=quantile,
        ratio=ratio,
    )


def _path(ablation: Ablation, language: Language) -> Sentence:
    """The two largest steps that are shown to add something, in the path's order."""
    assert ablation.path_start is not None
    added = [step for step in ablation.path if step.gain.low is not None and step.gain.low > 0]
    largest = sorted(added, key=lambda step: -step.gain.value)[:STEPS]
    parts = [_step(ablation, at, language) for at, s in enumerate(ablation.path) if s in largest]
    if not parts:
        parts = [NO_STEP.pattern(language)]
    elif len(added) == len(parts) < len(ablation.path):
        parts.append(NO_MORE.pattern(language))
    return sentence(
        PATH,
        language,
        base=_base(ablation.path_base, language),
        start=numbers.fixed(ablation.path_start, numbers.AUC_PLACES),
        steps=(", " if language == "en" else "、").join(parts),
        total=numbers.signed(ablation.path[-1].auc - ablation.path_start),
    )


def _step(ablation: Ablation, at: int, language: Language) -> str:
    """What a step adds, given those before it."""
    step = ablation.path[at]
    before = BEFORE.pattern(language).format(count=at)
    if at == 1:
        before = part_name(ablation.path[0].name)
    return (
        (AFTER if at else STEP)
        .pattern(language)
        .format(
            part=part_name(step.name),
            before=before,
            gain=numbers.signed(step.gain.value),
            interval=_bracket(step.gain),
        )
    )


def _base(base: str, language: Language) -> str:
    """What of the parts the plainest model has, before its AUC."""
    between = ", " if language == "en" else "、"
    return f"{part_name(base)}{between}" if base else ""


def _next(ablation: Ablation, language: Language) -> Sentence:
    others = ablation.first[1:]
    if not others:
        return sentence(ALONE, language)
    return sentence(NEXT, language, parts=_listed(others, language))


def _last(ablation: Ablation, language: Language) -> Sentence:
    steps = removals(ablation)
    if harm := [step.name for step in steps if moved(step) > 0]:
        return sentence(LAST["harm"], language, parts=_listed(harm, language))
    open_ = [step for step in steps if not moved(step)]
    if not open_:
        return sentence(LAST["all"], language)
    smallest = [step.mde for step in open_ if step.mde is not None]
    mde = ""
    if smallest:
        value = numbers.fixed(max(smallest), numbers.AUC_PLACES)
        mde = MDE.pattern(language).format(value=value)
    names = [step.name for step in open_]
    return sentence(LAST["open"], language, parts=_listed(names, language), mde=mde)


def part_name(name: str) -> str:
    """A setting as words.

    >>> part_name("use_id"), part_name("presence_features + text")
    ('id embedding', 'presence features + text')
    """
    return name.replace("use_id", "id embedding").replace("_", " ")


def turned(gain: Interval) -> Interval:
    """The gain of a part, from the change when it is left out (the sign is reversed)."""
    low, high = gain.low, gain.high
    return Interval(-gain.value, None if high is None else -high, None if low is None else -low)


def _bracket(interval: Interval, places: int = numbers.AUC_PLACES) -> Bracket:
    if interval.low is None or interval.high is None:
        return Bracket("[–]")
    return Bracket(numbers.bracket(interval, places))


def _listed(names: "tuple[str, ...] | list[str]", language: Language) -> Name:
    between = ", " if language == "en" else "、"
    words = between.join(part_name(name) for name in names[:MOST])
    return Name(words + (" …" if len(names) > MOST else ""))
