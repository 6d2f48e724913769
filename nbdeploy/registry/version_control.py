"""Section 1.2 of the chapter: every version of a model, with names that move and a way back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import VersionError
from nbdeploy.models.trust import Trust
from nbdeploy.registry.comparison import Comparison, VersionDiff, difference_of
from nbdeploy.registry.history import Change, History, changes_of
from nbdeploy.registry.names import LATEST, checked_name, is_name, near_miss
from nbdeploy.registry.overview import Overview
from nbdeploy.registry.saving import draft_of
from nbdeploy.registry.shelves import Place, Shelves
from nbdeploy.registry.storage import Location, folders_of, open_storage
from nbdeploy.registry.verification import Verification
from nbdeploy.registry.version import ModelVersion

__all__ = ["ModelVersionControl"]

VARIABLE = "NBDEPLOY_REGISTRY"


class ModelVersionControl(ReprMixin):
    """Keep every version of a model.

    A version is saved whole or not at all, by any number of processes at once, and never changes.
    Aliases such as ``production`` move from version to version, and back.

    Parameters
    ----------
    base_path
        A folder, or an address that fsspec knows, such as ``s3://bucket/churn``. Several may be
        given: the first is written to, the others are only read. ``None`` takes them from the
        environment variable ``NBDEPLOY_REGISTRY``, a list like that of ``PATH``.
    trust
        What vouches for versions that this user did not save: their digests. Without it,
        ``nbdeploy trust FOLDER`` can vouch for a folder once.
    clock
        The time, in UTC.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import Ridge
    >>> versions = ModelVersionControl(tempfile.mkdtemp())
    >>> model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    >>> _ = versions.save_model_version(model, "1.0", {"r2": 0.8})
    >>> versions.set_alias("production", "1.0")
    >>> versions.get_model_version("production").predict([[0.5]]).tolist()
    [0.5]
    >>> versions["1.0"].metrics, len(versions), "1.1" in versions
    ({'r2': 0.8}, 1, False)
    """

    def __init__(
        self,
        base_path: Location | Sequence[Location] | None = None,
        *,
        trust: Trust = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        storages = [open_storage(place) for place in folders_of(base_path, VARIABLE)]
        self.base_path = storages[0].location
        self._shelves = Shelves(storages, clock=clock)
        # One digest would forbid all other versions; in a registry it only adds.
        self.trust: Trust = (trust,) if isinstance(trust, str) else trust
        self._clock = clock

    @property
    def name(self) -> str:
        """What the versions are of: the last part of the folder's name."""
        return self._shelves.own.storage.name

    def save_model_version(
        self,
        model: Any,
        version: str | None = None,
        metrics: Any = None,
        description: str = "",
        *,
        example: Any = None,
        replace: bool = False,
        format: str = "joblib",  # noqa: A002 -- what ModelSerializer calls it
        store_example: bool = True,
    ) -> ModelVersion:
        """Save a model under the name of a version.

        Saving the same again changes nothing, so the cell can be run again.

        Parameters
        ----------
        model
            Any object that can be pickled.
        version
            The name; the next whole number when ``None``.
        metrics
            What was measured, as a dict of names and numbers.
        description
            What is new, in a sentence.
        example
            Rows that the model was fitted on, such as ``X_train``: what they look like is saved,
            and how they are distributed, which ``monitor.drift()`` compares with what is asked.
        replace
            Save other content under a name that is taken. The old content stays on disk, see
            `revisions`.
        format
            ``"joblib"``, ``"pickle"`` or ``"skops"``; the last needs no trust to be loaded.
        store_example
            Keep the first 32 rows of the example to warm the model up with. They are shown nowhere.
            How the rows are distributed is counts and no rows, and is saved in any case.

        Raises
        ------
        VersionError
            The name is taken by other content, or is none; or the metrics cannot be kept.
        SignatureError
            The example does not fit the model.
        ModelFileError
            The model cannot be saved, or the folder cannot be written to. Nothing of it is listed.
        """
        if version is not None:
            version = checked_name(version, "version")
            if self._shelves.target(version) is not None:
                message = f"{version!r} is an alias. Choose another name for the version."
                raise VersionError(message)
        draft = draft_of(
            model,
            metrics=metrics,
            description=description,
            example=example,
            format=format,
            store_example=store_example,
            clock=self._clock,
        )
        return self._version(self._shelves.save(draft, version, replace=replace))

    def get_model_version(self, version: str, *, trust: Trust = None) -> Any:
        """Return the model of a version or alias; ``None`` when there is no such version.

        Parameters
        ----------
        version
            The name.
        trust
            See `ModelVersion.load`.

        Raises
        ------
        ModelFileError
            The version is there, and cannot be loaded: corrupted, or not trusted.
        """
        found = self._find(version)
        return None if found is None else found.load(trust=trust)

    @property
    def latest(self) -> ModelVersion:
        """The version that was saved last.

        Raises
        ------
        VersionError
            There is none yet.
        """
        found = list(self)
        if not found:
            raise VersionError(self._shelves.unknown(LATEST))
        return found[-1]

    def __getitem__(self, version: str) -> ModelVersion:
        found = self._find(version)
        if found is None:
            raise VersionError(self._shelves.unknown(version))
        return found

    def __contains__(self, version: object) -> bool:
        if isinstance(version, ModelVersion):
            return self._find(version.version) == version
        return isinstance(version, str) and self._find(version) is not None

    def __iter__(self) -> Iterator[ModelVersion]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._shelves.look()[0])

    def set_alias(self, alias: str, version: str | ModelVersion, *, why: str = "") -> None:
        """Point a name such as ``production`` to a version.

        Parameters
        ----------
        alias
            The name.
        version
            The version, or another alias that points to it.
        why
            What the history shall say.

        Raises
        ------
        VersionError
            There is no such version, or the name is that of a version.
        """
        alias = checked_name(alias, "alias")
        found = self[version.version if isinstance(version, ModelVersion) else version]
        if alias in self._shelves.names():
            message = f"{alias!r} is the name of a version. Choose another name for the alias."
            raise VersionError(message)
        self._shelves.own_aliases.set(alias, found.version, why)

    def remove_alias(self, alias: str, *, why: str = "") -> None:
        """Let an alias point nowhere. Its history stays."""
        if self._shelves.own_aliases.target(alias) is None:
            message = f"There is no alias {alias!r:.80}.{near_miss(str(alias), self.aliases)}"
            raise VersionError(message)
        self._shelves.own_aliases.remove(alias, why)

    @property
    def aliases(self) -> dict[str, str]:
        """Where each alias points."""
        return self._shelves.targets()

    def rollback(self, alias: str, *, why: str = "") -> ModelVersion:
        """Point an alias to the version it pointed to before, again and again further back.

        Parameters
        ----------
        alias
            The alias.
        why
            What the history shall say.

        Returns
        -------
        ModelVersion
            Where it points now. Deleted versions are passed over.

        Raises
        ------
        VersionError
            There is nothing to go back to.
        """
        return self._step(alias, back=True, why=why)

    def roll_forward(self, alias: str, *, why: str = "") -> ModelVersion:
        """Take one `rollback` back; see there."""
        return self._step(alias, back=False, why=why)

    def history(self, name: str | None = None) -> History:
        """Tell who saved, replaced and deleted versions and who moved aliases.

        Parameters
        ----------
        name
            A version or an alias; everything when ``None``.
        """
        found: list[Change] = []
        for shelf, aliases in zip(self._shelves.all, self._shelves.all_aliases, strict=True):
            names = list(shelf.numbers()) if name is None else [name] if is_name(name) else []
            for one in names:
                found += changes_of(shelf.revisions(one))
            found += map(Change.of_alias, aliases.moves(name))
        return History(found)

    def revisions(self, version: str) -> tuple[ModelVersion, ...]:
        """Return all that was saved under the name of a version, the oldest first."""
        found = self[version].version
        return tuple(
            self._version((shelf, kept))
            for shelf in self._shelves.all
            for kept in shelf.revisions(found)
            if not kept.record.is_deleted
        )

    def compare(
        self,
        *versions: str | ModelVersion,
        lower_is_better: Collection[str] = (),
        higher_is_better: Collection[str] = (),
    ) -> Comparison:
        """Put the metrics of versions side by side, with the best marked.

        Parameters
        ----------
        versions
            Which ones; all when none is given.
        lower_is_better, higher_is_better
            Metrics whose name does not tell it. ``rmse``, ``log_loss`` and the like are known.
        """
        chosen = [self[one.version if isinstance(one, ModelVersion) else one] for one in versions]
        return Comparison(chosen or list(self), lower_is_better, higher_is_better)

    def diff(self, first: str, second: str) -> VersionDiff:
        """Tell what is different: parameters, metrics, schema, libraries and data."""
        return difference_of(self[first], self[second])

    def delete(self, version: str, *, why: str = "") -> None:
        """Delete a version, and what was saved under its name before.

        Parameters
        ----------
        version
            The version.
        why
            What the history shall say.

        Raises
        ------
        VersionError
            There is no such version, an alias points to it, or it is in a folder that is only read.
        """
        self._shelves.delete(version, why)

    def verify(self, *versions: str) -> Verification:
        """Compare every byte with what was saved; no model is loaded.

        Parameters
        ----------
        versions
            Which ones; all, and the aliases, when none is given.
        """
        if versions:
            chosen = [self[name] for name in versions]
            return Verification({one.version: tuple(one.problems()) for one in chosen})
        found = {one.version: tuple(one.problems()) for one in self}
        for name, problem in self._shelves.look()[1].items():
            found[name] = (problem,)
        for aliases in self._shelves.all_aliases:
            found |= {name: (problem,) for name, problem in aliases.problems().items()}
        return Verification(found)

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the table of versions, without what changes from run to run."""
        return self._overview().to_text()

    def to_html(self) -> str:
        """Write the table of versions."""
        return self._overview().to_html()

    def _overview(self) -> Overview:
        return Overview(
            self.name,
            self._all(),
            self._shelves.look()[1],
            has_several_places=len(self._shelves.all) > 1,
        )

    def _all(self) -> list[ModelVersion]:
        targets = self.aliases
        return [self._version(place, targets) for place in self._shelves.look()[0]]

    def _find(self, name: object) -> ModelVersion | None:
        place = self._shelves.find(name)
        return None if place is None else self._version(place)

    def _version(self, place: Place, targets: Mapping[str, str] | None = None) -> ModelVersion:
        shelf, kept = place
        record = kept.record
        assert record.entry is not None, "a deleted version is never given out"
        pointers = self.aliases if targets is None else targets
        return ModelVersion(
            version=record.version,
            digest=record.entry.digest,
            path=shelf.locate(kept),
            metrics=record.metrics,
            description=record.description,
            created_at=datetime.fromisoformat(record.created_at),
            created_by=record.created_by,
            aliases=tuple(alias for alias, target in pointers.items() if target == record.version),
            registry=self,
            _shelf=shelf,
            _kept=kept,
        )

    def _step(self, alias: str, *, back: bool, why: str) -> ModelVersion:
        own = self._shelves.own_aliases
        if own.target(alias) is None:
            hint = near_miss(str(alias), self.aliases)
            message = f"There is no alias {alias!r:.80} that can be moved here.{hint}"
            raise VersionError(message)
        own.step(alias, lambda: {one.version for one in self}, back=back, why=why)
        return self[alias]
