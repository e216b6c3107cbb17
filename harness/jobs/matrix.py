"""From a study to its matrix of cells: strategies and controls, their winning parameters, and
seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from fusefront.baselines.contract import Parts
from fusefront.baselines.settings import expand
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.cost import code_bytes, macs_per_candidate
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.controls import controls_of
from fusefront.harness.jobs.latency_fit import latency_of
from fusefront.harness.jobs.recipes import meaningful, recipe_name, recipe_of, searched_training
from fusefront.harness.jobs.trial_builds import check_spaces, check_strategies
from fusefront.harness.parts.identity import code_of
from fusefront.harness.parts.outside_parts import Own
from fusefront.harness.runs.files import Json, canonical
from fusefront.harness.runs.nearest import or_nearest
from fusefront.harness.runs.recipe import Training, overlay
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.study import Strategy, Study
from fusefront.harness.testing.shapes import built_of
from fusefront.harness.training.halving import rungs
from fusefront.harness.tuning.finalists import finalist_seeds
from fusefront.harness.tuning.latency_model import RequestCost
from fusefront.harness.tuning.samplers import refusal
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.search_cells import TRIAL_SEED
from fusefront.harness.tuning.space import Space, apply, constants, distributions


@dataclass(frozen=True)
class StudyPlan:
    """A checked study with its prepared data: everything that is needed to make the cells."""

    study: Study
    store: PreparedDataset
    strategies: Mapping[str, Strategy]
    parts: Parts
    without: Mapping[str, str] = field(default_factory=dict)  # control that is not run -> why
    alternative: Mapping[str, Json] = field(default_factory=dict)  # over the common recipe
    unfit: Mapping[str, frozenset[str]] = field(default_factory=dict)  # keys of the study's space
    _counted: dict[tuple[str, str], RequestCost] = field(default_factory=dict)
    _codes: dict[tuple[str, str], str] = field(default_factory=dict)

    def cell(
        self,
        name: str,
        params: Mapping[str, Json],
        seed: int,
        *,
        role: str | None = None,
        with_test: bool = True,
    ) -> Cell:
        """The cell of strategy `name` with searched parameters and a seed."""
        strategy = self.strategies[name]
        settings, training_words = apply(params, strategy.settings, strategy.training)
        training = self.recipe(name, training_words).model_dump(mode="json")
        spec = RunSpec(
            self.store.name,
            self.store.fingerprint,
            strategy.baseline,
            settings,
            training,
            seed,
            self.study.threads,
            strategy.shuffle,
            code=self._code(strategy.baseline, settings),
            randomize=strategy.randomize,
        )
        kind = self.parts.baselines[strategy.baseline]
        recipe_text = recipe_name(self.study, strategy, kind)
        return Cell(name, role or strategy.role, spec, with_test, recipe_text)

    def recipe(self, name: str, training_words: Mapping[str, Json] | None = None) -> Training:
        """The recipe that trains a strategy, with `training_words` (by default the strategy's own)
        put over it; raises UsageError where it names a modality that the data lacks."""
        strategy = self.strategies[name]
        kind = self.parts.baselines[strategy.baseline]
        rows = len(self.store.split("train").item)
        training_words = strategy.training if training_words is None else training_words
        if recipe_name(self.study, strategy, kind) == "common":
            training_words = overlay(training_words, self.alternative)
        recipe = recipe_of(self.study, strategy, kind, training_words, rows)
        known = schema_of(self.store).modalities if recipe.modalities else {}
        if stray := sorted(set(recipe.modalities) - set(known)):
            hint = f"{stray[0]!r}{or_nearest(stray[0], known)}"
            raise UsageError(f"{kind.name}: training.modalities: the data has no {hint}")
        return recipe

    def under(self, recipe: str | Mapping[str, Json]) -> "StudyPlan":
        """The same study by another recipe: "common" or "own" for all, or keys put over the common
        one."""
        if not isinstance(recipe, str):
            return replace(self, alternative=recipe)
        study = self.study.model_copy(update={"recipe": recipe})
        strategies = {
            name: strategy.model_copy(update={"recipe": None})
            for name, strategy in self.strategies.items()
        }
        return replace(self, study=study, strategies=strategies)

    def _code(self, baseline: str, settings: dict[str, Json]) -> str:
        """The version of the code that a strategy with these settings depends on."""
        key = baseline, canonical(settings)
        if key not in self._codes:
            schema = schema_of(self.store)
            model = built_of(self.parts.baselines[baseline], self.parts, settings, schema)
            self._codes[key] = code_of(model).version
        return self._codes[key]

    def macs(self, name: str, params: Mapping[str, Json]) -> float:
        """Counted MACs a candidate of a strategy with the searched parameters; nothing is
        trained."""
        return self.counted(name, params).macs / self.study.latency.decide_at

    def counted(self, name: str, params: Mapping[str, Json]) -> RequestCost:
        """Counted cost of a request with the study's number of candidates: MACs and bytes of
        codes."""
        strategy = self.strategies[name]
        settings, _ = apply(params, strategy.settings, strategy.training)
        return self.counted_of(strategy.baseline, settings)

    def counted_of(self, baseline: str, settings: dict[str, Json]) -> RequestCost:
        """The counted cost of a request for a baseline with its settings."""
        key, k = (baseline, canonical(settings)), self.study.latency.decide_at
        if key not in self._counted:
            schema = schema_of(self.store)
            model = built_of(self.parts.baselines[baseline], self.parts, settings, schema)
            places = (numbers.device for numbers in model.state_dict().values())
            with next(places, torch.device("meta")):
                macs = macs_per_candidate(model, schema.items, schema)
                width = code_bytes(model, schema.items, schema, k)
            self._counted[key] = RequestCost(float(macs * k), width)
        return self._counted[key]

    def trial(self, name: str, params: Mapping[str, Json]) -> Cell:
        """A trial of the search: it has the search's seed and never scores the test split."""
        seed = TRIAL_SEED + self.study.tuning.seed
        return self.cell(name, params, seed, role="trial", with_test=False)

    def finalist(self, name: str, params: Mapping[str, Json]) -> list[Cell]:
        """The cells that train one of the best trials again with new seeds; they never score the
        test split."""
        seeds = finalist_seeds(self.study.tuning.seed)
        return [self.cell(name, params, seed, role="trial", with_test=False) for seed in seeds]

    @property
    def finalist_trainings(self) -> int:
        """How many extra trainings choose among the best trials of each search."""
        tuning = self.study.tuning
        return len(finalist_seeds(tuning.seed)) * tuning.finalists

    def final(self, winners: Mapping[str, Mapping[str, Json]]) -> list[Cell]:
        """The matrix: every strategy with its winning parameters, at every seed.

        Under another recipe, winning training parameters that have no meaning there are left out.
        """
        params = {
            name: self._fitting(name, winners.get(self.searched_as(name), self.constants(name)))
            for name in self.strategies
        }
        return [
            self.cell(name, params[name], seed)
            for name in self.strategies
            for seed in self.study.seeds
        ]

    def _fitting(self, name: str, params: Mapping[str, Json]) -> dict[str, Json]:
        """The winning parameters that have a meaning with the optimiser and schedule used here."""
        words = {
            key: params[f"training.{key}"]
            for key in ("optimizer", "schedule")
            if f"training.{key}" in params
        }
        return meaningful(params, self.recipe(name, {**self.strategies[name].training, **words}))

    def lacking(self, left_out: Mapping[str, str]) -> "StudyPlan":
        """The study without the strategies in `left_out`, whose searches cannot be read, and
        without those that take their parameters from them."""
        reasons = {
            name: f"{name} was left out: {left_out[self.searched_as(name)]}."
            for name in self.strategies
            if self.searched_as(name) in left_out
        }
        rest = {name: s for name, s in self.strategies.items() if name not in reasons}
        return replace(self, strategies=rest, without={**self.without, **reasons})

    def searched_as(self, name: str) -> str:
        """The name of the strategy whose search gives this one its parameters; a control with other
        vectors uses another's."""
        if not self.strategies[name].other_vectors:
            return name
        own = {"shuffle": (), "randomize": (), "role": "strategy"}
        twin = self.strategies[name].model_copy(update=own)
        return next((n for n, s in self.study.strategies.items() if s == twin), name)

    def searched(self) -> list[str]:
        """The strategies that get a share of the tuning budget."""
        return [
            name
            for name, strategy in self.strategies.items()
            if self.study.tuning.trials > 0
            and strategy.tune
            and not strategy.other_vectors
            and not self.parts.baselines[strategy.baseline].solved
        ]

    def searches(self, folder: Path, *, begun: bool = False) -> list[Search]:
        """The searches in a study's folder with their records so far; with `begun` only those begun
        before.

        Raises:
            UsageError: a search was begun with another seed, space, budget or the like.
        """
        tuning = self.study.tuning
        latency = None if tuning.slo_ms is None else latency_of(self, folder)
        names = [
            name
            for name in self.searched()
            if not begun or (folder / "tuning" / name / "search.json").exists()
        ]
        return [
            Search(
                folder / "tuning" / name,
                name,
                self.space(name),
                tuning.trials,
                tuning.seed,
                tuning.lag,
                tuning.seconds,
                tuning.trial_seconds,
                sampler=tuning.sampler,
                objectives=tuning.objectives,
                levels=self.levels(name),
                budget_macs=tuning.budget_macs,
                macs=partial(self.macs, name),
                slo_ms=tuning.slo_ms,
                latency=latency,
                counted=partial(self.counted, name),
                timed=tuning.timed,
                finalists=tuning.finalists,
            )
            for name in names
        ]

    def levels(self, name: str) -> tuple[int, ...]:
        """With halving, the epochs where a trial of a strategy pauses, then its last epoch; else
        ()."""
        epochs = self.recipe(name).epochs
        between = rungs(epochs) if self.study.tuning.halving else ()
        return (*between, epochs) if between else ()

    def constants(self, name: str) -> dict[str, Json]:
        """The searched keys of a strategy that can take one value only, with that value."""
        twin = self.searched_as(name)
        return constants(self.space(twin)) if twin in self.searched() else {}

    def space(self, name: str) -> Space:
        """The search space of a strategy: the study's keys, the baseline's own choices, the
        strategy's keys.

        Where several of them have the same key, the strategy's wins over the study's, and the
        study's over the baseline's.
        """
        strategy = self.strategies[name]
        if self.parts.baselines[strategy.baseline].solved:
            return {}
        own = {
            key: tuple(values)
            for key, values in self.parts.baselines[strategy.baseline].choices.items()
            if not _is_set(key, strategy.settings) and key not in self.unfit.get(name, ())
        }
        common = self._common_space(name)
        return {**common, **own, **common, **strategy.space}  # keys in order of first mention

    def _common_space(self, name: str) -> Space:
        """The keys of the study's space that have a meaning for the strategy's recipe."""
        strategy, tuning = self.strategies[name], self.study.tuning
        kind = self.parts.baselines[strategy.baseline]
        own = recipe_name(self.study, strategy, kind) == "own"
        unset = "space" not in tuning.model_fields_set
        space = {k: v for k, v in tuning.space.items() if k not in self.unfit.get(name, ())}
        return searched_training(space, self.recipe(name), own=own, unset=unset)

    @property
    def unsearched(self) -> list[str]:
        """A sentence on each key of the study's space that some searched strategy does not have."""
        tuning = self.study.tuning
        if not tuning.trials:
            spaces = [f"strategies.{name}.space" for name, s in self.strategies.items() if s.space]
            spaces += ["tuning.space"] if "space" in tuning.model_fields_set else []
            return [f"{name} is not searched: tuning.trials is 0" for name in spaces]
        keys = list(tuning.space)
        names = {k: [n for n in self.searched() if k in self.unfit.get(n, ())] for k in keys}
        return [
            f"tuning.space: {key!r} is no setting of {', '.join(lacking)}, searched without it"
            for key, lacking in names.items()
            if lacking
        ]


def _is_set(dotted: str, settings: Mapping[str, Json]) -> bool:
    """Whether the user has fixed the key, or the part that it belongs to."""
    at: Json = expand(settings)
    for part in dotted.split("."):
        if not isinstance(at, Mapping):
            return True
        if part not in at:
            return False
        at = at[part]
    return True


def make_plan(
    study: Study, store: PreparedDataset, parts: Parts, own: Sequence[Own] = ()
) -> StudyPlan:
    """Add the controls and check every strategy against data and parts.

    `own` are the parts that do not ship with fusefront: errors they raise are reported with their
    name.

    Raises:
        UsageError: a strategy, recipe, sampler, seed or space of the study cannot be used.
    """
    controls, without = controls_of(study, schema_of(store), parts)
    strategies = {**study.strategies, **controls}
    _check_seeds(study)
    plan = StudyPlan(study, store, strategies, parts, without)
    check_strategies(plan, own)
    for recipe in ({}, *study.sensitivity):
        for name, strategy in strategies.items():
            _check_recipe(plan.under(recipe), name, strategy)
    plan = replace(plan, unfit=check_spaces(plan, own))
    _check_sampler(plan)
    _check_halving(plan)
    _check_accepted(plan)
    return plan


def _check_recipe(plan: StudyPlan, name: str, strategy: Strategy) -> None:
    """Refuse a recipe that is invalid, and `own` for a baseline that has no published recipe."""
    if strategy.recipe == "own" and not plan.parts.baselines[strategy.baseline].recipe:
        raise UsageError(
            f"strategy {name!r}: recipe 'own', but {strategy.baseline!r} has no published recipe; "
            "remove the key or give 'training'"
        )
    try:
        plan.recipe(name)
    except UsageError as error:
        raise UsageError(f"strategy {name!r}: {error}") from error


def _check_sampler(plan: StudyPlan) -> None:
    """Refuse, before anything is trained, a sampler that cannot search a strategy's space."""
    tuning = plan.study.tuning
    for name in plan.searched():
        if sentence := refusal(
            tuning.sampler,
            distributions(plan.space(name)),
            tuning.trials,
            len(tuning.objectives),
        ):
            raise UsageError(f"strategy {name!r}: tuning.sampler: {sentence}")


def _check_halving(plan: StudyPlan) -> None:
    """Refuse halving if the number of epochs is searched, too."""
    key = "training.epochs"
    for name in plan.searched() if plan.study.tuning.halving else ():
        if key in distributions(plan.space(name)):
            raise UsageError(
                f"strategy {name!r}: halving compares trials after equal numbers of epochs, so it "
                f"cannot search {key!r}; remove that key from the space, or halving"
            )


def _check_accepted(plan: StudyPlan) -> None:
    """Refuse entries of `tuning.accept` that name no strategy or give no reason."""
    for name, reason in plan.study.tuning.accept.items():
        if name not in plan.strategies:
            hint = or_nearest(name, plan.strategies)
            raise UsageError(f"tuning.accept: {name!r} is no strategy of this study{hint}")
        if not reason.strip():
            raise UsageError(f"tuning.accept: {name!r} is accepted without a reason; write one")


def _check_seeds(study: Study) -> None:
    """Refuse study seeds that the search also uses to choose: such runs must not be reported."""
    tuning = study.tuning
    choosing = {
        TRIAL_SEED + tuning.seed,
        *(finalist_seeds(tuning.seed) if tuning.finalists else ()),
    }
    if clash := sorted(choosing.intersection(study.seeds)) if tuning.trials else []:
        raise UsageError(
            f"seed {clash[0]} is used by the search to choose, so no reported run may have it; "
            "give the study another seed"
        )
