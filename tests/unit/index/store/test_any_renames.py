"""Any sequence of renames, deletions and snapshots, against two dictionaries."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from twopass.index.errors import AliasExistsError, CollectionExistsError
from twopass.index.store.store import CollectionStore

from ..conftest import LANES
from .looking import alias, folders

NAMES = st.sampled_from(["a", "b", "c", "d"])


class Renames(RuleBasedStateMachine):
    """Compares a store with two dictionaries: what each name stands for, and has snapshots of."""

    folder: Path
    schema: object

    def __init__(self):
        super().__init__()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.store = CollectionStore(self.folder, LANES)
        self.incarnations = {}
        self.aliases = {}
        self.snapshots = {}
        self.number = 0

    def teardown(self):
        self.store.close()

    @rule(name=NAMES)
    def create(self, name):
        if name in self.incarnations or name in self.aliases:
            with pytest.raises((CollectionExistsError, AliasExistsError)):
                self.store.create(name, self.schema)
        else:
            self.incarnations[name] = self.store.create(name, self.schema).sequence.incarnation

    @rule(name=NAMES, new_name=NAMES, keep_alias=st.booleans())
    def rename(self, name, new_name, keep_alias):
        is_free = new_name not in self.incarnations and new_name not in self.aliases
        can = name in self.incarnations and (is_free or self.aliases.get(new_name) == name)
        if not can or self.snapshots.get(new_name):
            with pytest.raises(Exception, match=r"name|alias|exist"):
                self.store.rename(name, new_name, keep_alias=keep_alias)
            return
        self.store.rename(name, new_name, keep_alias=keep_alias)
        self.incarnations[new_name] = self.incarnations.pop(name)
        self.snapshots[new_name] = self.snapshots.pop(name, [])
        self.aliases.pop(new_name, None)
        self.aliases = {x: new_name if y == name else y for x, y in self.aliases.items()}
        if keep_alias:
            self.aliases[name] = new_name

    @rule(name=NAMES)
    def delete(self, name):
        if name in self.incarnations and name not in self.aliases.values():
            self.store.delete(name)
            del self.incarnations[name]

    @rule(name=NAMES)
    def unalias(self, name):
        alias(self.store, name, None) if name not in self.incarnations else None
        self.aliases.pop(name, None)

    @rule(name=NAMES)
    def copy(self, name):
        if name in self.incarnations:
            self.number += 1
            self.store.create_snapshot(name, f"s{self.number:04}")
            self.snapshots.setdefault(name, []).append(f"s{self.number:04}")

    @rule(name=NAMES)
    def drop_snapshots(self, name):
        for snapshot in self.snapshots.pop(name, []):
            self.store.snapshots.delete(name, snapshot)

    @rule()
    def restart(self):
        self.store.close()
        self.store = CollectionStore(self.folder, LANES, opens_collections=False)
        assert folders(self.folder) == sorted(self.incarnations)

    @invariant()
    def is_as_the_model(self):
        found = {x.name: x.sequence.incarnation for x in self.store.summaries(self.store.names)}
        assert found == self.incarnations
        assert dict(self.store.aliases.items()) == self.aliases
        for name in "abcd":
            listed = [snapshot.name for snapshot in self.store.snapshots.list(name)]
            assert listed == self.snapshots.get(name, [])


def test_any_sequence_of_renames_is_as_that_of_a_dictionary(tmp_path, schema):
    class Machine(Renames):
        pass

    Machine.folder, Machine.schema = tmp_path / "data", schema
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
