"""Generated requests against the OpenAPI description: no undeclared answer, no failure inside, nothing leaks."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from facewitness.ui.api.access import SCOPES

from .api_server import Running, running

CASES = int(os.environ.get("FACEWITNESS_TEST_CASES", "200"))
"""Over all operations, less where there is little to vary; 20,000 take some minutes."""
LEAK = re.compile(r"Traceback|site-packages|/home/|/root/|/tmp/|object at 0x|sqlalchemy|\.py\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("api"), rate=1_000_000, unfinished=10_000, queue=10_000) as server:
        yield server


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


def check(case: schemathesis.Case, secret: str) -> None:
    answer = case.call(timeout=60, headers={"Authorization": f"Bearer {secret}"})
    assert not LEAK.search(answer.text)
    case.validate_response(answer, checks=CHECKS)


# Workers in this process examine what was accepted meanwhile, and LangGraph draws its ids from the same generator.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
def test_generated_requests(server: Running) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 26
    limited = settings(
        max_examples=max(1, CASES // (len(operations) * len(MODES))),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    sent = Counter[str]()
    _, secret = server.service.keys.create([*SCOPES], 1)

    def counted(case: schemathesis.Case) -> None:
        sent[case.operation.label] += 1
        check(case, secret)

    for operation in operations:
        for mode in MODES if operation.body or operation.path_parameters else MODES[:1]:
            limited(given(case=operation.as_strategy(generation_mode=mode))(counted))()
    print(f"{sum(sent.values()):,} requests to {len(sent)} operations")
