"""The goals and works of `make peers`, as they stand in allocator/bench/."""

from __future__ import annotations

from harness import peer_catalog
from harness.metrics import METRICS, PEER_METRICS
from harness.project import here

CHURN = ("churn-100", "churn-500")
ALLOC = ("alloc-16", "alloc-64", "alloc-256", "alloc-1024")
STOPS = ("stop_max_ns", "stop_p99_ns")
# (work, metric, peer or metric of its own, bound): the table of what is to be reached.
TYPES = ("append", "map", "channel", "defer", "pool")
WANTED = {
    *((f"type-{one}", "ns_per_op", "go", "≤ 1") for one in TYPES),
    *((f"type-{one}", "peak_rss_b", "go", "≤ 1.05") for one in TYPES),
    ("binary-trees", "work_s", "go", "≤ 0.4"),
    ("binary-trees", "work_s", "boehm-better", "≤ 0.95"),
    ("binary-trees", "work_s", "glibc", "≤ 0.8"),
    ("binary-trees", "cpu_s", "go", "≤ 0.4"),
    ("binary-trees", "peak_rss_b", "go", "≤ 1"),
    *(("binary-trees", stop, "go", "≤ 1") for stop in STOPS),
    ("gcbench", "work_s", "go", "≤ 0.45"),
    ("gcbench", "work_s", "boehm-better", "≤ 0.85"),
    *((work, stop, "go", "≤ 2") for work in CHURN for stop in STOPS),
    *(("churn-500", stop, "boehm-better", "≤ 0.001") for stop in STOPS),
    *((work, "batch_p999_ns", "go", "≤ 0.25") for work in CHURN),
    *((work, "ops_per_s", "go", "≥ 1.5") for work in CHURN),
    *((work, "ops_per_s", "boehm-better", "≥ 1") for work in CHURN),
    *((work, "peak_rss_b", "go", "≤ 1") for work in CHURN),
    *((work, "ns_per_op", "go", "≤ 0.5") for work in ALLOC),
    *((work, "ns_per_op", "mimalloc", "≤ 1.5") for work in ALLOC[:2]),
    ("alloc-16", "scaling", None, "≥ 1.8"),
    ("alloc-64", "scaling", None, "≥ 1.6"),
    *((work, "scaling", "go", "≥ 1") for work in ALLOC[2:]),
    ("lifetimes", "ns_per_op", "go", "≤ 0.5"),
    ("marking-linked", "mark_cpu_ns", "go", "≤ 0.5"),
    ("marking-wide", "mark_cpu_ns", "go", "≤ 0.5"),
    ("live-heap", "stop_top_ns", "spanheap", "≤ 2"),
}
OF_DROP_INS = {
    *(("spanheap-malloc", work, *rest) for work in ("lifetimes", "lifetimes-2") for rest in (
        ("ns_per_op", "mimalloc", "≤ 1.3"), ("ns_per_op", "glibc", "≤ 1"),
        ("peak_rss_b", "glibc", "≤ 1"))),
    *(("spanheap-gc", work, metric, "boehm", "≤ 1") for work in ("binary-trees", "gcbench")
      for metric in ("work_s", "peak_rss_b")),
}


def test_every_figure_that_is_to_be_reached_is_a_goal() -> None:
    found = peer_catalog.load(here())
    assert {(g.subject, g.work, g.metric, g.peer, g.text) for g in found.goals} == {
        *(("spanheap", *wanted) for wanted in WANTED), *OF_DROP_INS}
    assert len(found.goals) == len(WANTED) + len(OF_DROP_INS)
    flat = next(g for g in found.goals if g.work == "live-heap")
    assert flat.over == "stop_64m_ns"
    assert all(g.kind == "medians" for g in found.goals if g.metric.startswith("stop_"))


def test_every_metric_of_a_work_is_declared() -> None:
    for work in peer_catalog.load(here()).works:
        assert set(work.metrics) <= {*METRICS, *PEER_METRICS}, work.id


def test_programs_of_the_works_are_those_of_the_makefile() -> None:
    makefile = (here().allocator / "bench" / "bench.mk").read_text()
    found = peer_catalog.load(here())
    built = {word for line in makefile.splitlines()
             if line.startswith(("BENCH_WORKS :=", "BENCH_OWN_WORKS :="))
             for word in line.split(":=")[1].split("#")[0].split()}
    assert {w.program for w in found.works} == built
    for peer in found.peers:
        assert peer.id in makefile


def test_where_memory_is_short_the_smaller_arguments_are_used() -> None:
    work = next(w for w in peer_catalog.load(here()).works if w.id == "live-heap")
    assert "4096" in work.args_of(False, None) and "4096" in work.args_of(False, 99e3)
    assert "1024" in work.args_of(False, 5000) and "1024" in work.args_of(True, 99e3)
