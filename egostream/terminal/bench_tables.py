"""What ``egostream bench`` prints of its measurements."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

PERCENTILES = ("p50", "p95", "p99", "worst")


def print_tables(results: list[dict]) -> None:
    """Everything of one measurement, or a row for each of several."""
    console = Console(highlight=False)
    if len(results) == 1:
        print_table(console, results[0])
        return
    console.print(f"{headline(results[0])}, {results[0]['seconds']:g} s each")
    console.print(streams_table(results))


def headline(result: dict) -> str:
    """What was measured, on what."""
    return (
        f"{result['source']} ({result['pace']}), {result['backend']} {result['precision']}, "
        f"{result['variant']} {result['temporal']}, motion {result['motion']}, "
        f"{result['machine']['processor']}, {result['machine']['cores']} cores"
    )


def print_table(console: Console, result: dict) -> None:
    """Everything of one measurement."""
    console.print(f"{result['poses_per_second']:.1f} poses/s from {headline(result)}")
    table = Table("milliseconds", *PERCENTILES)
    rows = (
        {"capture to subscriber": result["latency_ms"]}
        | result["stages_ms"]
        | {"all but the network": result["outside_network_ms"]}
    )
    for name, values in rows.items():
        table.add_row(name, *(f"{values[key]:.2f}" for key in PERCENTILES))
    console.print(table)
    if len(result["streams"]) > 1:
        console.print(streams_table([result]))
    memory = f"{result['rss_mib']:.0f} MiB ({result['rss_growth_percent']:+.1f}% over the run)"
    console.print(
        f"{result['dropped_frames']} frames dropped, CPU {result['cpu_percent']:.0f}% of one core, "
        f"memory {memory}, latency growth {result['latency_growth_ms']:+.2f} ms"
    )
    if not result["trained"]:
        console.print("untrained weights: the speed is real, the poses mean nothing")


def streams_table(results: list[dict]) -> Table:
    """How each stream fared in one measurement, or in several with growing numbers of streams, one row each."""
    return table_of_one(results[0]) if len(results) == 1 else table_of_several(results)


def table_of_one(result: dict) -> Table:
    """One measurement, a row for each stream."""
    table = Table("stream", "poses/s", "p50 ms", "p99 ms", "dropped")
    for name, figures in result["streams"].items():
        rate, drops = f"{figures['poses_per_second']:.1f}", str(figures["dropped_frames"])
        table.add_row(name, rate, *latency_cells([figures]), drops)
    table.caption = f"fairness {result['fairness']:.2f}: the slowest stream's rate to the mean"
    return table


def table_of_several(results: list[dict]) -> Table:
    """Several measurements, a row for each."""
    columns = ("streams", "poses/s", "slowest", "p50 ms", "p99 ms", "dropped", "fairness", "CPU %", "MiB")
    table = Table(*columns, box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for result in results:
        streams = list(result["streams"].values())
        rates = [figures["poses_per_second"] for figures in streams]
        table.add_row(
            str(len(streams)),
            f"{sum(rates):.1f}",
            f"{min(rates):.1f}",
            *latency_cells(streams),
            str(result["dropped_frames"]),
            f"{result['fairness']:.2f}",
            f"{result['cpu_percent']:.0f}",
            f"{result['rss_mib']:.0f}",
        )
    table.caption = (
        "slowest: the stream with the lowest rate, and its rate to the mean as fairness; "
        "latency: of the stream where it is worst"
    )
    return table


def latency_cells(streams: list[dict]) -> list[str]:
    """Latency p50 and p99 in ms, each of the stream that has it worst."""
    return [f"{max(figures['latency_ms'][key] for figures in streams):.1f}" for key in ("p50", "p99")]
