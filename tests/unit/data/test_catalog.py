"""Data sets by name: registered once, and refused before they are loaded where they cannot be what is asked for."""

from __future__ import annotations

import pytest

from saccade.data import CATALOG, DataInfo, DataRequest, DataSplits, catalog, load_data, register_data


@pytest.fixture
def registered(monkeypatch):
    """Registers a data set for the duration of a test; every load of it is counted."""
    monkeypatch.setattr("saccade.data.catalog.CATALOG", dict(CATALOG))
    loads = []

    def register(temporal_says: bool, temporal_is: bool):
        @register_data("mine", "my own", ("here", "there"), temporal=temporal_says)
        def load(request):
            loads.append(request)
            return DataSplits(DataInfo("mine", 2, 1, (4, 4), temporal_is, ("a", "b")), [], [])

        return loads

    return register


def test_a_name_is_given_once(registered):
    registered(False, False)
    with pytest.raises(ValueError, match=r"There is a data set 'mine' already \(my own\)"):
        registered(False, False)
    with pytest.raises(ValueError, match="There is a data set 'digits' already"):
        register_data("digits", "others", None)(lambda request: None)


def test_symmetric_images_of_sequences_are_refused_before_anything_is_loaded(registered):
    loads = registered(True, True)
    with pytest.raises(ValueError, match="holds sequences"):
        load_data(DataRequest("mine", symmetric=True))
    assert not loads
    load_data(DataRequest("mine"))
    assert len(loads) == 1


def test_a_data_set_that_is_not_what_it_is_registered_as(registered):
    registered(False, True)
    with pytest.raises(ValueError, match="registered with temporal=False"):
        load_data(DataRequest("mine"))


def test_several_layouts(registered, tmp_path):
    registered(False, False)
    patched = catalog.CATALOG
    assert patched["mine"].found_in(tmp_path) == "not found: here or there"
    (tmp_path / "there").mkdir()
    assert patched["mine"].found_in(tmp_path) == "found"
    assert patched["digits"].found_in(tmp_path) == "built in"


def test_every_set_says_truly_whether_it_is_temporal():
    assert {name for name, entry in CATALOG.items() if entry.temporal} >= {"digits", "nmnist", "cifar10-dvs"}
    assert load_data(DataRequest("digits", steps=2)).info.temporal
