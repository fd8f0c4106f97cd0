"""What was measured, as lines of text and as the tables of the manual."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from interleaved import Timing
from roof import SHAPES, Roof
from workloads import ALONE, OURS, Target, Workload

RESULTS = Path(__file__).parent / "results"
#: The picture of benches/scaling.py, and how the manual shows it.
PICTURE = Path(__file__).parent.parent / "docs" / "_static" / "scaling.png"
_SHOWN = """
## Time and memory against size

![Time and memory against N, D, K, threads, P and M, beside the slopes expected](_static/scaling.png)

`make scaling`: each over that of the smallest size, with the slope of the larger sizes and, dotted, the slope expected.
Where the small sizes lie above the dotted line, something else than the size costs.
"""
_PROFILES = """
## Where the time goes in rows that miss a target

`make profile`: functions by their share of the samples that `perf` takes while the row's own contender computes.
"""
#: Contenders that are ours, or no rival but a bound.
NO_RIVALS = (OURS, ALONE, "steady hmm_rs", "first step", "numpy's fill")


def duration(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def row(workload: Workload, found: dict[str, Timing], roof: Roof | None, threads: int) -> dict[str, Any]:
    """Return everything about a workload as plain data, its targets judged."""
    threads_of_it = workload.threads or threads
    ours = found[OURS].best
    limit = workload.limit(roof, threads_of_it) if workload.limit and roof else {}
    limit = {name: seconds for name, seconds in limit.items() if math.isfinite(seconds)}
    least = sum(limit.values())
    rivals = {name: one.best / ours for name, one in found.items() if name not in NO_RIVALS and one.seconds}
    result: dict[str, Any] = {
        "title": workload.title,
        "unit": workload.unit,
        "threads": threads_of_it,
        "seconds": ours,
        "gflops": workload.flops / ours * 1e-9 if workload.flops else None,
        "limit": limit,
        "binds": max(limit, key=limit.__getitem__) if limit else None,
        "share": least / ours if limit else None,
        "ratios": rivals,
        "MiB": {name: one.mebibytes for name, one in found.items() if math.isfinite(one.mebibytes)},
        "all": {name: one.seconds for name, one in found.items()},
        "missing": {name: one.missing for name, one in found.items() if one.missing},
        "note": workload.note,
    }
    result["targets"] = [_judged(target, result, found) for target in workload.targets]
    return result


def _judged(target: Target, result: dict[str, Any], found: dict[str, Timing]) -> dict[str, Any]:
    """Return a target in words with what was found and the verdict; None where it could not be measured."""
    ours, least = found[OURS].best, target.kind in ("rival", "share", "threads")
    if target.kind == "rival":
        value, words = (
            min(result["ratios"].values(), default=math.nan),
            f">= {target.value:g}x the best rival",
        )
    elif target.kind == "share":
        value, words = result["share"] or math.nan, f">= {target.value:.2g} of the limit"
    elif target.kind == "threads":
        value = found[ALONE].best / ours if result["threads"] > 1 else math.nan
        words = f">= {target.value:g}x from 1 to {result['threads']} threads"
    elif target.kind == "time":
        value, words = ours, f"<= {duration(target.value)}"
    elif target.kind == "over":
        value, words = ours / found[target.than].best, f"<= {target.value:g}x {target.than}"
    else:
        value = found[OURS].mebibytes / found[target.than].mebibytes
        words = f"<= {target.value:.2g} of {target.than}'s memory"
    met = None if math.isnan(value) else bool(value >= target.value if least else value <= target.value)
    shown = duration(value) if target.kind == "time" and met is not None else f"{value:.2f}"
    return {"target": words, "found": shown, "met": met}


def verdict(judged: dict[str, Any]) -> str:
    return {True: "met", False: "MISSED", None: "not measured"}[judged["met"]]


def row_lines(result: dict[str, Any]) -> str:
    """Return a workload's lines of text."""
    if math.isnan(result["seconds"]):
        return f"{result['title']}\n    not measured: {result['missing'].get(OURS, '')}"
    first = f"    {duration(result['seconds'])} per {result['unit']}, {result['threads']} thread(s)"
    if result["gflops"]:
        first += f", {result['gflops']:.1f} GFLOP/s"
    if result["share"]:
        parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in result["limit"].items())
        first += f"; {result['share']:.2f} of the limit ({result['binds']} binds: {parts})"
    lines = [result["title"], first]
    for name, seconds in result["all"].items():
        if seconds and name != OURS:
            spread = sorted(seconds)[len(seconds) // 2] / min(seconds)
            memory = result["MiB"].get(name, math.nan)
            lines.append(
                f"    {name:<18}{duration(min(seconds)):>9}  {min(seconds) / result['seconds']:6.2f}x ours"
                f"{memory:8.0f} MiB   median/best {spread:.2f}"
            )
    own = result["all"][OURS]
    lines.append(
        f"    {OURS:<18}{duration(min(own)):>9}{'':14}{result['MiB'].get(OURS, math.nan):8.0f} MiB"
        f"   median/best {sorted(own)[len(own) // 2] / min(own):.2f}"
    )
    lines += [f"    {name}: {why}" for name, why in result["missing"].items()]
    lines += [
        f"    {verdict(judged):<12} {judged['target']} (found {judged['found']})"
        for judged in result["targets"]
    ]
    return "\n".join([*lines, *([f"    {result['note']}"] if result["note"] else [])])


def roof_lines(machine: dict[str, Any], roof: Roof, missing: dict[str, str]) -> str:
    """Return the machine and its rates as text."""
    caches = ", ".join(f"{name} {size >> 10} KiB" for name, size in machine["caches"].items())
    lines = [
        f"{machine['processor']} ({machine['kind']}), {machine['instruction_set']}, {machine['cores']} cores; "
        f"{caches}; huge pages: {machine['huge_pages']}",
        "",
        f"{'GFLOP/s of products':<34}" + "".join(f"{f'{t} thread(s)':>22}" for t in roof.rates),
        f"{'':<34}" + "".join(f"{'hmm_rs':>12}{'numpy':>10}" for _ in roof.rates),
    ]
    for name, (shape, dtypes) in SHAPES.items():
        for dtype in dtypes:
            cells = "".join(
                f"{of.get('hmm_rs', {}).get(f'{name} {dtype}', math.nan) * 1e-9:12.1f}"
                f"{of.get('numpy', {}).get(f'{name} {dtype}', math.nan) * 1e-9:10.1f}"
                for of in roof.rates.values()
            )
            shown = "x".join(map(str, shape if shape[2] else (shape[0], shape[1], shape[0])))
            lines.append(f"  {name + ' ' + dtype[-2:]:<16} {shown:<15}" + cells)
    lines.append("GB/s")
    for what in ("copy", "triad", "triad in L2", "fresh"):
        cells = "".join(f"{roof.memory(what, threads) * 1e-9:22.1f}" for threads in roof.rates)
        lines.append(f"  {what:<32}" + cells)
    lines.append("ns of a normal deviate on one core")
    lines += [f"  {dtype:<32}{roof.normal(dtype) * 1e9:22.2f}" for dtype in ("float64", "float32")]
    return "\n".join([*lines, *(f"{who}: {why}" for who, why in missing.items())])


def as_json(machine: dict[str, Any], roof: Roof | None, rows: dict[str, Any], seconds: float) -> str:
    """Return the file of a run; times with four digits, which is more than they have."""
    rates = {str(threads): of for threads, of in roof.rates.items()} if roof else {}
    whole = {"machine": machine, "roof": rates, "workloads": rows, "took_seconds": round(seconds)}
    return json.dumps(rounded(whole), indent=1, allow_nan=False) + "\n"


def rounded(value: Any) -> Any:
    """Return plain data with numbers of four digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def results() -> list[dict[str, Any]]:
    """Return what was measured on each kind of processor."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]


def missing_rows(result: dict[str, Any]) -> list[str]:
    """Return the rows of a run that miss a target."""
    rows = result["workloads"].items()
    return [name for name, row in rows if any(judged["met"] is False for judged in row["targets"])]


def profile_line(found: dict[str, Any]) -> str:
    """Return where a row spends its time, in words."""
    shares = ", ".join(f"`{name}` {100 * share:.0f} %" for name, share in found["functions"])
    return f"{shares}; {100 * found['idle']:.0f} % of the cores' time idle"


def _profiles(found: list[dict[str, Any]]) -> str:
    """Return where the rows that miss a target spend their time, on each kind of processor."""
    lines = []
    for one in found:
        looked = [name for name in missing_rows(one) if "profile" in one["workloads"][name]]
        if looked:
            lines.append(f"\n{_column(one)}:\n")
        for name in looked:
            row = one["workloads"][name]
            lines.append(f"* {row['title']}: {profile_line(row['profile'])}.")
    return "\n".join([_PROFILES, *lines, ""]) if lines else ""


def _column(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return (
        f"{machine['processor']} ({machine['kind']}), {machine['instruction_set']}, {machine['cores']} cores"
    )


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["seconds"] is None:
        return "not measured"
    parts = [f"**{duration(row['seconds'])}**"]
    if row["ratios"]:
        best = min(row["ratios"], key=row["ratios"].__getitem__)
        ratio = row["ratios"][best]
        parts.append(f"{ratio:.{0 if ratio >= 10 else 1}f}x {best}")
    if row["share"]:
        parts.append(f"{row['share']:.2f} of the limit ({row['binds']})")
    missed = [f"{judged['target']}: {judged['found']}" for judged in row["targets"] if judged["met"] is False]
    return ", ".join(parts) + (f"; missed: {'; '.join(missed)}" if missed else "")


def markdown(found: list[dict[str, Any]]) -> str:
    """Return the manual's tables: the roofs, then the workloads, one column for each kind of processor."""
    picture = _SHOWN if PICTURE.exists() else ""
    if not found:
        return "No results are kept yet: `make bench` writes those of your machine.\n" + picture
    head = ["| | " + " | ".join(map(_column, found)) + " |", "|---|" + "---|" * len(found)]
    roofs = list(head)
    for what, scale, digits in (("peak float64", 1e-9, 0), ("peak float32", 1e-9, 0)):
        cells = [_rate(one, ("numpy", "hmm_rs"), what, scale, digits) for one in found]
        roofs.append(f"| product, {what.split()[1]}, GFLOP/s on all threads | " + " | ".join(cells) + " |")
    for what in ("triad", "triad in L2", "fresh"):
        cells = [_rate(one, ("memory",), what, 1e-9, 1) for one in found]
        roofs.append(f"| {what}, GB/s on all threads | " + " | ".join(cells) + " |")
    names = list(dict.fromkeys(name for one in found for name in one["workloads"]))
    rows = list(head)
    for name in names:
        of = [one["workloads"].get(name) for one in found]
        title = next(row["title"] for row in of if row)
        unit = next(row["unit"] for row in of if row)
        rows.append(f"| {title}, per {unit} | " + " | ".join(map(_cell, of)) + " |")
    return "\n".join([*roofs, "", *rows, ""]) + _profiles(found) + picture


def _rate(one: dict[str, Any], who: tuple[str, ...], what: str, scale: float, digits: int) -> str:
    if not one["roof"]:
        return "not measured"
    of = one["roof"][max(one["roof"], key=int)]
    rates = [of[name][what] for name in who if what in of.get(name, {})]
    return f"{max(rates) * scale:.{digits}f}" if rates else "not measured"
