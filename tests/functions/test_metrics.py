"""What a monitor scrapes, read with the parser of Prometheus' own client."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from engine.models.metric import METRICS


def test_every_metric_is_shown_with_its_meaning_and_its_label(client):
    answer = client.get("/metrics")

    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert answer.headers["Cache-Control"] == "no-store"
    for metric in METRICS:
        family = found[metric.name]
        assert (family.type, family.documentation) == (metric.kind, metric.about)
        assert [sample.name for sample in family.samples] == [metric.shown]
        assert [[*sample.labels] for sample in family.samples] == [[metric.label] if metric.label else []]
    assert found["process_resident_memory_bytes"].samples[0].value > 1e6
