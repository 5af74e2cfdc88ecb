"""What the flow relies on in any head on frozen features, whatever fits it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headstart import catalog
from headstart.contracts import HeadFitter
from headstart.testing.heads import CHECKS, subject

# those that learn from other tables have theirs in `test_related_heads`, others in `test_tabicl`
ALONE = sorted(n for n in catalog.names("heads") if catalog.head(n).stands_alone())


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check: Callable[[HeadFitter], None], name: str) -> None:
    if name == "xgboost":
        pytest.importorskip("xgboost")
    check(subject(catalog.head(name), None))
