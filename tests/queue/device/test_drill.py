"""The kill drill of the benchmarks, in short: what was acknowledged survives `kill -9` of everything."""

import pytest

from benchmarks.queue.drill import drill


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_that_was_acknowledged_is_lost_or_done_twice_whatever_is_killed(tmp_path_factory):
    found = drill(tmp_path_factory.mktemp("d"), rounds=4)
    assert found.kills["service"] == 4
    assert min(found.kills[name] for name in ("dispatcher", "device client", "workers")) >= 1
    assert found.accepted > 20
    assert found.is_clean, found
