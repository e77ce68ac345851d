"""Files of poses by suffix: one table. A new format is a line here, and a writer that keeps ``PoseWriter``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from egostream.annotate.contract import PoseWriter, RecordingFacts
from egostream.errors import EgostreamError

MakeWriter = Callable[[Path, RecordingFacts], PoseWriter]


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    writer: str  # module:name of what makes its PoseWriter, imported when it is wanted
    needs: tuple[str, ...] = ()  # modules that it cannot do without
    extra: str = ""  # the extra that installs them
    wants_pictures: bool = False  # whether its writer is given the recording's pictures

    def make_writer(self) -> MakeWriter:
        """What makes a writer of a draft's path and a recording's facts."""
        module, name = self.writer.split(":")
        return getattr(import_module(module), name)


FORMATS: dict[str, Format] = {
    ".parquet": Format("egostream.annotate.write_parquet:ParquetWriter", ("pyarrow",), "annotate"),
    ".csv": Format("egostream.annotate.write_csv:CsvWriter"),
    ".jsonl": Format("egostream.annotate.write_jsonl:JsonlWriter"),
    ".npz": Format("egostream.annotate.write_npz:NpzWriter"),
    ".mcap": Format("egostream.annotate.write_mcap:McapWriter", ("mcap", "mcap_protobuf"), "record", True),
    ".bvh": Format("egostream.annotate.write_animation:bvh_writer"),
    ".vrma": Format("egostream.annotate.write_animation:gltf_writer"),
    ".glb": Format("egostream.annotate.write_animation:gltf_writer"),
}
#: What files of pictures with bones end in where ``--overlay`` names a folder: no recording is called so.
OVERLAY_SUFFIX = ".overlay.mp4"
#: Pictures with bones on them, which ``--overlay`` asks for.
OVERLAYS: dict[str, Format] = {
    ".mp4": Format("egostream.annotate.overlay:OverlayWriter", wants_pictures=True),
}


def format_of(path: str, formats: dict[str, Format] = FORMATS) -> Format:
    """The format of a file by its suffix. Raises EgostreamError where there is none, or its library is missing."""
    suffix = Path(path).suffix.lower()
    found = formats.get(suffix)
    if found is None:
        raise EgostreamError(f"{path}: files of poses end in {', '.join(formats)}, not in {suffix or 'nothing'}")
    if missing := [module for module in found.needs if find_spec(module) is None]:
        raise EgostreamError(
            f"{suffix} needs {missing[0]}, which is not installed: pip install 'egostream[{found.extra}]'. "
            "Formats that need nothing: " + ", ".join(name for name, one in formats.items() if not one.needs)
        )
    return found
