"""int8.json: the scales of a weights folder's activations."""

from __future__ import annotations

import hashlib
import json

import msgspec

from egostream.errors import EgostreamError, first_line
from egostream.files import read_small, write_whole
from egostream.graph.ports import BODY_FORM, GRAPHS, LOOK_GRAPH, STEP_GRAPH
from egostream.graph.weights import Weights

FILE = "int8.json"
#: Revision of the nodes that ``int8.quantized`` makes. Engines of another revision are compiled again.
REVISION = 2
MAKE = "Make it: python tools/quantize.py --help"


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """int8.json: the scale of every activation that is quantised, by graph and tensor, and how it was found."""

    weights_id: str
    scales: dict[str, dict[str, float]]
    kept: list[str] = []  # layers left in floating point, since quantising them costs too much
    frames: int = 0  # that activations were seen on
    source: str = ""  # file name of the recording that they come from
    cost: dict[str, float] = {}  # how far int8 moves the joints, in mm, as measured when it was made
    sha256: str = ""  # over weights_id, scales and kept: what was changed by accident is refused; empty: an older table

    @property
    def digest(self) -> str:
        """SHA-256 of what an int8 engine depends on besides the weights."""
        return hashlib.sha256(
            json.dumps([self.scales, sorted(self.kept), REVISION], sort_keys=True).encode()
        ).hexdigest()


def checksum(table: Quantization) -> str:
    """What a table's ``sha256`` must be."""
    return hashlib.sha256(json.dumps([table.weights_id, table.scales, table.kept], sort_keys=True).encode()).hexdigest()


def save_quantization(weights: Weights, table: Quantization) -> None:
    """Write a table into the folder of these weights, as theirs. Raises EgostreamError where it cannot be written."""
    table = msgspec.structs.replace(table, weights_id=weights.id)
    table = msgspec.structs.replace(table, sha256=checksum(table))
    text = json.dumps(msgspec.to_builtins(table), indent=1) + "\n"
    write_whole(weights.path(FILE), text.encode(), "Copy the weights folder to a place of yours, and name it")


def has_quantization(weights: Weights) -> bool:
    """Whether a weights folder has scales. Whether they fit is not looked at."""
    return weights.folder is not None and (weights.folder / FILE).is_file()


def load_quantization(weights: Weights) -> Quantization:
    """The scales of a weights folder.

    Raises EgostreamError when there are none, they are malformed, or they are of other weights.
    """
    if weights.folder is None or not has_quantization(weights):
        raise EgostreamError(f"weights {weights.folder} have no {FILE}, which int8 needs. {MAKE}")
    path = weights.folder / FILE
    try:
        table = msgspec.json.decode(read_small(path), type=Quantization)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise EgostreamError(f"{path} is malformed: {first_line(error)}. {MAKE}") from None
    if table.sha256 and table.sha256 != checksum(table):
        raise EgostreamError(f"{path} has changed since it was made (its sha256 is of other numbers). {MAKE}")
    missing = ({*GRAPHS, STEP_GRAPH} if weights.form != BODY_FORM else {LOOK_GRAPH}) - set(table.scales)
    odd = [name for scales in table.scales.values() for name, scale in scales.items() if not 0 < scale < float("inf")]
    if missing or odd:
        problem = f"it lacks the {min(missing)} graph" if missing else f"the scale of {odd[0]} is no positive number"
        raise EgostreamError(f"{path} is malformed: {problem}. {MAKE}")
    if table.weights_id != weights.id:
        raise EgostreamError(f"{path} is of weights {table.weights_id[:12]}, these are {weights.id[:12]}. {MAKE}")
    return table
