"""A strategy without one of its parts, or with another part in its place."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, NamedTuple

from fusefront.baselines.contract import Parts, Schema
from fusefront.baselines.models.composed import Composed
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import digest
from fusefront.harness.runs.study import LONGEST, Strategy

OWN = "as it is"  # the parent's level of a factor
Change = Mapping[str, Any]  # setting, dotted or whole, or training.<key> -> value

# replacements of a component, the plainest first; those that the model refuses are skipped
_PLAINER: Mapping[str, tuple[Any, ...]] = {
    "use_id": (False,),
    "compressor": (None,),
    "operator": (None, {"name": "concat"}),
    "pooler": ({"name": "mean"},),
    "head": ({"name": "linear"},),
    "products": (False,),
    "presence_features": (False,),
    "alignment": (None,),
}


@dataclass(frozen=True)
class AblatedStrategy:
    """The parent's settings without one part, or with other levels of some factors."""

    name: str
    kind: str  # modality | component | alone | swap | cell
    without: str  # the part that is left out, or the levels in words
    strategy: Strategy
    changed: tuple[str, ...] = ()  # settings whose searched parameters no longer hold
    levels: tuple[tuple[str, str], ...] = ()  # of a factorial plan: factor -> level


class Level(NamedTuple):
    """One value of a factor, as changes to try in order: the first possible one is used."""

    word: str
    tries: tuple[Change, ...]


class Factor(NamedTuple):
    """A setting that is varied, with its values other than the parent's own."""

    name: str
    kind: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Workbench:
    """The strategy that is ablated, with its resolved settings, and what changes are checked
    against."""

    of: str
    parent: Strategy
    resolved: Mapping[str, Any]
    schema: Schema
    parts: Parts
    retuned: bool  # whether what is built here is searched again

    @classmethod
    def open(
        cls,
        of: str,
        parent: Strategy,
        schema: Schema,
        parts: Parts,
        fitted: Change | None = None,
        *,
        retuned: bool = False,
    ) -> "Workbench":
        """Resolve the parent; `fitted` are its settings with the parameters its search chose, if it
        was searched."""
        settings = parent.settings if fitted is None else dict(fitted)
        resolved = asdict(parts.baselines[parent.baseline].check(schema, settings, parts))
        return cls(of, parent, resolved, schema, parts, retuned)

    def name(self, words: str) -> str:
        """The name of a strategy that differs from the parent by `words`; one that is searched
        again has other runs than a frozen one, and another name."""
        return short(f"{self.of} {words}{', tuned again' if self.retuned else ''}")

    @property
    def modalities(self) -> list[str]:
        """The modalities that the parent reads, in the data set's order."""
        chosen = self.resolved.get("modalities")
        return [name for name in self.schema.modalities if name in (chosen or ())]

    def first_meaningful(self, changes: Iterable[Change]) -> tuple[Strategy, Change] | None:
        """The parent with the first possible change; a part that a preset fixes is changed through
        `composed`."""
        for change in changes:
            for body in self._bodies(change):
                strategy = Strategy.model_validate(_plain(body))
                try:
                    baseline = self.parts.baselines[strategy.baseline]
                    baseline.check(self.schema, strategy.settings, self.parts)
                except ValueError:
                    continue
                return strategy, change
        return None

    def _bodies(self, change: Change) -> list[dict[str, Any]]:
        base = self.parent.model_dump(mode="json")
        base["space"] = {k: v for k, v in base["space"].items() if not belongs(k, change)}
        settings, training = _apart(change)
        beneath = {k: v for k, v in base.items() if k.partition(".")[0] not in settings}
        trained = {"training": {**base["training"], **training}}
        bodies = [{**beneath, **trained, **settings, "role": "ablation"}]
        if issubclass(self.parts.baselines[self.parent.baseline], Composed):
            unchanged = {key: base[key] for key in ("tune", "shuffle", "randomize", "space")}
            if self.parent.recipe == "own":  # `composed` has no published recipe: use its parent's
                recipe = self.parts.baselines[self.parent.baseline].recipe
                trained = {"training": {**recipe, **trained["training"]}}
            bodies.append(
                {
                    "baseline": "composed",
                    **unchanged,
                    **trained,
                    **self.resolved,
                    **settings,
                    "role": "ablation",
                }
            )
        return bodies


def _apart(change: Change) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings, and the keys of the training without their prefix."""
    settings = {key: value for key, value in change.items() if not key.startswith("training.")}
    training = {
        key.removeprefix("training."): value
        for key, value in change.items()
        if key.startswith("training.")
    }
    return settings, training


def belongs(key: str, changed: Collection[str]) -> bool:
    """Whether a dotted key is one of the settings `changed`, or lies within one.

    >>> belongs("head.hidden", ["head"]), belongs("header", ["head"])
    (True, False)
    """
    return any(key == name or key.startswith(f"{name}.") for name in changed)


def ablations(of: str, parent: Strategy, schema: Schema, parts: Parts) -> list[AblatedStrategy]:
    """All possible removals of a single part, modalities first; raises UsageError if there is
    none."""
    bench = Workbench.open(of, parent, schema, parts)
    return each_level(bench, removals(bench))


def removals(bench: Workbench) -> list[Factor]:
    """One factor of one level for every modality and every component that could be removed."""
    return [*_modalities_out(bench), *_components_out(bench)]


def each_level(bench: Workbench, factors: Sequence[Factor]) -> list[AblatedStrategy]:
    """The parent with one level of one factor at a time; equal strategies appear once.

    Raises:
        UsageError: no level is possible.
    """
    strategies: list[AblatedStrategy] = []
    settings: set[str] = set()
    for factor in factors:
        for level in factor.levels:
            resolved = bench.first_meaningful(level.tries)
            if resolved is None:
                continue
            strategy, change = resolved
            if (content := digest(strategy.model_dump(mode="json"))) in settings:
                continue
            settings.add(content)
            strategies.append(
                AblatedStrategy(
                    bench.name(_word(factor, level)),
                    factor.kind,
                    level.word,
                    strategy,
                    tuple(change),
                )
            )
    if not strategies:
        raise UsageError(
            f"strategy {bench.of!r} ({bench.parent.baseline}) has no part that can be taken out"
        )
    return strategies


def every_combination(
    bench: Workbench, factors: Sequence[Factor], only: Collection[frozenset[str]] = ()
) -> list[AblatedStrategy]:
    """The parent with every possible combination of levels, except that of all its own levels.

    `only`: if given, the combinations to keep, each by the factors that are not at the parent's
    own level.

    Raises:
        UsageError: no combination is possible.
    """
    own = Level(OWN, ({},))
    cells: list[AblatedStrategy] = []
    choices = ([(factor, level) for level in (own, *factor.levels)] for factor in factors)
    for pairs in product(*choices):
        changed = [(factor, level) for factor, level in pairs if level is not own]
        if not changed or (only and frozenset(factor.name for factor, _ in changed) not in only):
            continue
        resolved = bench.first_meaningful(together([level for _, level in pairs]))
        if resolved is None:
            continue
        strategy, change = resolved
        words = [_word(factor, level) for factor, level in changed]
        cells.append(
            AblatedStrategy(
                bench.name(", ".join(words)),
                "cell",
                ", ".join(words),
                strategy,
                tuple(change),
                tuple((factor.name, level.word) for factor, level in pairs),
            )
        )
    if not cells:
        raise UsageError(f"strategy {bench.of!r}: no combination of these factors is possible")
    return cells


def together(levels: Sequence[Level]) -> Iterator[Change]:
    """The changes of several levels at once: all combinations of their alternatives; modalities
    that different levels leave out are all left out.

    >>> text = Level("text", ({"modalities": ["image", "audio"]},))
    >>> audio = Level("audio", ({"modalities": ["text", "image"]},))
    >>> list(together([text, audio, Level("head", ({"head": None},))]))
    [{'modalities': ['image'], 'head': None}]
    """
    for changes in product(*(level.tries for level in levels)):
        merged: dict[str, Any] = {}
        for change in changes:
            if "modalities" in merged and "modalities" in change:
                both = [name for name in merged["modalities"] if name in change["modalities"]]
                change = {**change, "modalities": both}
            merged.update(change)
        yield merged


def _modalities_out(bench: Workbench) -> list[Factor]:
    names = bench.modalities
    factors = []
    for out in names if len(names) > 1 else ():
        rest = {"modalities": [name for name in names if name != out]}
        tries: tuple[Change, ...] = (rest,)
        if bench.resolved.get("alignment") is not None:  # which needs two modalities
            tries = (rest, {**rest, "alignment": None})
        factors.append(Factor(out, "modality", (Level(out, tries),)))
    return factors


def _components_out(bench: Workbench) -> list[Factor]:
    factors = []
    for key, plainer in _PLAINER.items():
        value = bench.resolved.get(key)
        if value in (None, False) or (key == "compressor" and not bench.modalities):
            continue
        tries = tuple({key: plain} for plain in plainer if not is_same(value, plain))
        factors.append(Factor(key, "component", (Level(key, tries),)))
    return factors


def is_same(value: Any, plainer: Any) -> bool:
    """Whether a part is the plainer one already; compared by name if it has one."""
    if isinstance(value, Mapping):
        return bool(value["name"] == ("none" if plainer is None else plainer["name"]))
    return bool(value == plainer)


def _word(factor: Factor, level: Level) -> str:
    if factor.kind in ("modality", "component"):
        return f"without {level.word}"
    return f"with {level.word}" if factor.kind == "swap" else level.word


def short(name: str) -> str:
    """The name shortened and without slashes, so that it can name a folder."""
    name = name.replace("/", "-")
    if len(name.encode()) <= LONGEST:
        return name
    tail = f" {digest(name)[:8]}"
    return name.encode()[: LONGEST - len(tail)].decode(errors="ignore") + tail


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Tuples replaced by lists, so that the strategy hashes as if it had come from YAML."""
    copied: dict[str, Any] = json.loads(json.dumps(body))
    return copied
