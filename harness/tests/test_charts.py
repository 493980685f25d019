"""Charts: every picture is drawn from data, checked, and the same each time."""

from __future__ import annotations

import copy
import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from harness.charts import Chart, draw, engine, flags, forest, pauses, plans, rss, sweep, throughput
from harness.charts.model import Plan, file_name, quote
from harness.charts.scale import log_tics, thin, time_tics, unit_for

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = ROOT / "plots"
DATA = Path(__file__).parent / "data" / "summary.json"
HOSTILE = "`touch x`"  # gnuplot runs backquotes inside double quotes
ODD = "a_b <&> \"q\" 'p' 100% `touch x`"

needs_gnuplot = pytest.mark.skipif(
    shutil.which("gnuplot") is None, reason="gnuplot is not installed"
)


@pytest.fixture()
def summary() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Chart]]:
    if shutil.which("gnuplot") is None:
        pytest.skip("gnuplot is not installed")
    out = tmp_path_factory.mktemp("plots")
    return out, draw(json.loads(DATA.read_text(encoding="utf-8")), out, templates=TEMPLATES)


def pitfall(summary: dict[str, Any], ident: str) -> dict[str, Any]:
    found: dict[str, Any] = next(p for p in summary["pitfalls"] if p["id"] == ident)
    return found


def test_every_chart_is_drawn_or_says_why(drawn: tuple[Path, list[Chart]]) -> None:
    _, charts = drawn
    reasons = {chart.name: chart.skipped for chart in charts if chart.skipped}
    assert reasons == {"pauses-loop-defer-fd": "no variant of this pair paused"}
    for chart in charts:
        if chart.skipped is None:
            engine.check_picture(chart.svg)
            engine.check_picture(chart.png)
            assert chart.data is not None and chart.data.is_file()
            assert chart.caption and chart.alt


def test_kinds_of_charts_the_reader_was_promised(drawn: tuple[Path, list[Chart]]) -> None:
    names = {chart.name for chart in drawn[1]}
    assert {"forest-time", "forest-memory", "flags"} <= names
    for kind in ("rss", "throughput", "pauses", "sweep"):
        assert f"{kind}-growth" in names
    assert not any("control" in name for name in names)


def test_same_summary_gives_same_bytes(
    drawn: tuple[Path, list[Chart]], tmp_path: Path, summary: dict[str, Any]
) -> None:
    summary["pitfalls"] = [pitfall(summary, "growth")]
    again = {chart.name: chart for chart in draw(summary, tmp_path, templates=TEMPLATES)}
    for chart in drawn[1]:
        if chart.pitfall == "growth" or chart.name == "flags":
            assert chart.svg.read_bytes() == again[chart.name].svg.read_bytes(), chart.name
            assert chart.png.read_bytes() == again[chart.name].png.read_bytes(), chart.name


def test_no_temporary_file_stays_behind(drawn: tuple[Path, list[Chart]]) -> None:
    assert not [path.name for path in drawn[0].iterdir() if path.name.startswith(".")]


def test_missing_gnuplot_skips_with_the_package_to_install(
    tmp_path: Path, summary: dict[str, Any]
) -> None:
    charts = draw(summary, tmp_path, gnuplot="no-such-gnuplot", templates=TEMPLATES)
    assert charts and all("apt-get install gnuplot" in (chart.skipped or "") or
                          "paused" in (chart.skipped or "") for chart in charts)
    assert list(tmp_path.iterdir()) == []


def fake_gnuplot(folder: Path, script: str) -> str:
    program = folder / "fake-gnuplot"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'line 3: undefined variable' >&2; exit 1", "undefined variable"),
        ("exit 0", "wrote no picture"),
        ('printf "<svg><path/></svg>" > "$4"', "blank"),
        ('printf "<svg><path/>" > "$4"', "cut off"),
    ],
)
def test_failing_gnuplot_is_a_reason_and_keeps_the_old_picture(
    tmp_path: Path, summary: dict[str, Any], script: str, reason: str
) -> None:
    old = tmp_path / "flags.svg"
    fake = fake_gnuplot(tmp_path, script)
    out = tmp_path / "out"
    out.mkdir()
    old = out / "notes.svg"
    old.write_text("someone else's", encoding="utf-8")
    charts = draw(summary, out, gnuplot=fake, templates=TEMPLATES)
    flag_chart = next(chart for chart in charts if chart.name == "flags")
    assert reason in (flag_chart.skipped or "")
    assert old.read_text(encoding="utf-8") == "someone else's"
    assert not (out / "flags.svg").exists()


def test_blank_png_is_refused(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    rows = b"".join(b"\0" + b"\xff" * 30 for _ in range(10))
    path = tmp_path / "blank.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    with pytest.raises(engine.DrawError, match="blank"):
        engine.check_picture(path)


def test_old_pictures_of_ours_go_away_and_others_stay(
    tmp_path: Path, summary: dict[str, Any]
) -> None:
    (tmp_path / "rss-gone.svg").write_text("old", encoding="utf-8")
    (tmp_path / "mine.png").write_text("mine", encoding="utf-8")
    draw(summary, tmp_path, gnuplot="no-such-gnuplot", templates=TEMPLATES)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_empty_summary_gives_reasons_only() -> None:
    made = list(plans({"pitfalls": [], "flags": [], "run": None}))
    assert [plan.name for plan in made] == ["forest-time", "forest-memory", "flags"]
    assert all(plan.skipped for plan in made)


def test_null_metrics_are_left_out_with_a_reason(summary: dict[str, Any]) -> None:
    one = pitfall(summary, "growth")
    for cell in one["cells"].values():
        for variant in cell["variants"].values():
            variant["metrics"]["ops_per_s"] = {"median": None, "reason": "the clock went back"}
            variant["timeline"] = None
            variant["pauses_ns"] = []
    one["sweep"] = {}
    made = [*throughput.plans(one), *rss.plans(one), *pauses.plans(one), *sweep.plans(one)]
    assert "the clock went back" in (made[0].skipped or "")
    assert all(plan.skipped for plan in made)


@needs_gnuplot
def test_one_cell_run_draws(tmp_path: Path, summary: dict[str, Any]) -> None:
    for one in summary["pitfalls"]:
        one["cells"] = {"clang-O2": one["cells"]["clang-O2"]}
    summary["flags"] = [row for row in summary["flags"] if row["cell"] == "clang-O2"]
    charts = {chart.name: chart for chart in draw(summary, tmp_path, templates=TEMPLATES)}
    for name in ("forest-time", "flags", "throughput-growth", "pauses-growth"):
        assert charts[name].skipped is None, charts[name].skipped


@needs_gnuplot
def test_odd_names_reach_the_picture_as_they_are(tmp_path: Path, summary: dict[str, Any]) -> None:
    one = pitfall(summary, "growth")
    one["id"] = ODD
    for variant in one["variants"]:
        variant["label"] = ODD
    one["cells"] = {HOSTILE if c == "gcc-O0" else c: v for c, v in one["cells"].items()}
    summary["flags"][1]["cell"] = HOSTILE
    summary["pitfalls"] = [one]
    charts = draw(summary, tmp_path, templates=TEMPLATES)
    assert [chart.skipped for chart in charts] == [None] * len(charts)
    text = next(c for c in charts if c.name.startswith("throughput")).svg.read_text("utf-8")
    assert "a_b &lt;&amp;" in text and "100%" in text and HOSTILE in text
    assert HOSTILE in (tmp_path / "flags.svg").read_text("utf-8")
    assert not (TEMPLATES / "x").exists()
    assert all(path.parent == tmp_path for chart in charts for path in (chart.svg, chart.png))


def test_quote_leaves_no_way_out() -> None:
    assert quote("it's `x` $y \\n\n@z") == "'it''s `x` $y \\n @z'"
    assert file_name("rss", "a/../b c&") == "rss-a_.._b_c_"


def test_data_block_cannot_be_ended_by_a_name() -> None:
    plan = Plan("n", "t.gp", "t", "c")
    plan.block("rows", [["END_OF_DATA\nprint 1", 2.0], [None, 'a "b" \\']])
    assert plan.lines[1:3] == ['"END_OF_DATA print 1" 2', "NaN \"a 'b' /\""]


def test_throughput_bars_start_at_zero_and_hold_the_interval(summary: dict[str, Any]) -> None:
    plan = next(iter(throughput.plans(pitfall(summary, "escape"))))
    head, *rows = plan.lines[plan.lines.index("$bars << END_OF_DATA"):]
    for row in rows[: rows.index("END_OF_DATA")]:
        _, value, low, high, _ = map(float, row.split())
        assert 0 < low <= value <= high
    assert "set yrange [0:" in (TEMPLATES / "throughput.gp").read_text(encoding="utf-8")


def test_flag_ratio_is_to_the_same_compilers_o0(summary: dict[str, Any]) -> None:
    rows = flags.rows_of(summary)
    by_cell = {row["cell"]: row for row in rows}
    assert flags.reference(rows, by_cell["gcc-Os"])["cell"] == "gcc-O0"
    assert flags.reference(rows, by_cell["clang-O2"])["cell"] == "gcc-O2"  # clang-O0 is left out
    expected = by_cell["gcc-Os"]["text_b"] / by_cell["gcc-O0"]["text_b"]
    assert flags.ratio(rows, by_cell["gcc-Os"], "text_b") == pytest.approx(expected)


def test_flag_without_a_value_prints_not_measured(summary: dict[str, Any]) -> None:
    summary["flags"][1]["startup_s"] = None
    plan = flags.plan(summary)
    assert plan.skipped is None
    assert '2 1 "not measured"' in plan.lines


def test_forest_has_a_row_per_cell_and_the_controls(summary: dict[str, Any]) -> None:
    plan = forest.plan(summary, "ns_per_op")
    assert any("control-same" in line for line in plan.lines)
    fixes = sum(len(pair["fixes"]) for p in summary["pitfalls"] for pair in p["pairs"])
    assert sum(1 for line in plan.lines if line.endswith('"gcc-Os"')) == fixes == 11


def test_sweep_shows_held_bytes_and_descriptors_over_n(summary: dict[str, Any]) -> None:
    plan = next(iter(sweep.plans(pitfall(summary, "loop-defer"))))
    assert "array PANEL_TITLES[2] = ['held bytes', 'open fds']" in plan.lines
    assert "exponent 1.00" in plan.alt


def test_sweep_ignores_cells_without_points(summary: dict[str, Any]) -> None:
    one = copy.deepcopy(pitfall(summary, "growth"))
    one["sweep"] = {"gcc-O2": {"bad": []}, "gcc-O0": one["sweep"]["gcc-O2"]}
    assert next(iter(sweep.plans(one))).title.endswith("gcc-O0")


def test_many_pauses_are_thinned_but_keep_their_ends() -> None:
    kept = thin(list(map(float, range(10_000))), 50)
    assert len(kept) == 50 and kept[0] == 0 and kept[-1] == 9999


@pytest.mark.parametrize(
    ("low", "high", "unit"),
    [(1, 1e9, "B"), (900, 1100, "B"), (20, 9e8, "ns"), (0.96, 1.2, "x"), (0.01, 900, "x"),
     (5, 5, "1"), (11, 29, "1")],
)
def test_log_tics_are_few_and_inside(low: float, high: float, unit: str) -> None:
    tics = log_tics(low, high, unit)
    assert 2 <= len(tics) <= 9
    assert all(low * 0.99 <= at <= high * 1.01 and "e" not in label for label, at in tics)


def test_time_tics_start_at_zero() -> None:
    assert time_tics(57.0, 4) == [("0", 0.0), ("20", 20.0), ("40", 40.0)]


def test_unit_reads_as_one_to_a_thousand() -> None:
    assert unit_for(3 * 2**20, "B") == (2**20, "MiB")
    assert unit_for(2.1e5, "1/s") == (1e3, "thousand")


def test_rss_line_starts_with_the_program_not_its_launcher(summary: dict[str, Any]) -> None:
    one = pitfall(summary, "growth")
    line = one["cells"]["gcc-O2"]["variants"]["bad"]["timeline"]
    line["t_ns"] = [-9_000_000, -8_000_000, -7_000_000, 0, 5_000_000]
    line["rss_b"] = [300_000, 4096, 2_000_000, 2_000_000, 6_000_000]
    plan = next(iter(rss.plans(one)))
    first = plan.lines[plan.lines.index("$runs << END_OF_DATA") + 1]
    assert first == "0 1.907348633"
    assert any(line.startswith("array BEGINS[4] = [7,") for line in plan.lines)


def test_tics_of_a_wide_axis_do_not_touch() -> None:
    assert [label for label, _ in log_tics(8.5, 64, "1", most=6)] == ["10", "20", "30", "50"]


@pytest.mark.parametrize("without", ["fixed", "bad"])
def test_throughput_is_drawn_without_a_variant_that_did_not_run(
    summary: dict[str, Any], tmp_path: Path, without: str
) -> None:
    one = copy.deepcopy(summary)
    one["pitfalls"] = [pitfall(one, "escape")]
    for cell in one["pitfalls"][0]["cells"].values():
        cell["variants"][without]["metrics"].pop("ops_per_s", None)
        cell["ratios"] = {}
    charts = draw(one, tmp_path, templates=TEMPLATES)
    assert next(c for c in charts if c.name == "throughput-escape").skipped is None
