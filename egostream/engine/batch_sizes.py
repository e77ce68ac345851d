"""Batch sizes that engines are compiled for: powers of two, of which any number of frames is made up."""

from __future__ import annotations

from egostream.config import MAX_STREAMS

#: Larger batches do not pay on a processor: every pose of a batch comes as late as its last, and little is gained.
#: int8 on Zen 5: 4 frames together take a tenth less than one after another, 8 frames no less than two batches of 4.
LARGEST_ON_PROCESSOR = 4


def processor_batch_sizes(stream_count: int) -> list[int]:
    """Batch sizes that a processor's engines are compiled for, ascending: 1, 2 and 4, as far as there are streams."""
    return [size for size in powers_of_two(LARGEST_ON_PROCESSOR) if size <= stream_count]


def gpu_batch_sizes(stream_count: int) -> list[int]:
    """Batch sizes that a GPU worker prepares a step for, ascending: up to the first that takes all streams at once.

    The last one is also the size that the engines are compiled to be fastest at.
    """
    return powers_of_two(stream_count)


def powers_of_two(least: int) -> list[int]:
    """1, 2, 4 ... up to the first that is not below ``least``."""
    sizes = [1]
    while sizes[-1] < least:
        sizes.append(2 * sizes[-1])
    return sizes


def nearest_batch_sizes(wanted_size: int) -> list[int]:
    """Every batch size that a GPU's engines may have been compiled for, those nearest to ``wanted_size`` first.

    Distance is counted in doublings; of two sizes equally far, the smaller comes first.
    """

    def doublings_apart(size: int) -> int:
        return abs(size.bit_length() - wanted_size.bit_length())

    return sorted(gpu_batch_sizes(MAX_STREAMS), key=doublings_apart)
