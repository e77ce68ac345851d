"""``.parquet``: a row for each joint of each frame; units and the recording's facts are in the schema's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egostream.annotate.closing import close_quietly
from egostream.annotate.contract import RecordingFacts
from egostream.annotate.rows import COLUMNS, columns_of
from egostream.skeleton import JOINTS
from egostream.types import Pose

if TYPE_CHECKING:
    import pyarrow

#: Poses of a row group: two minutes at 30 frames a second, 2.4 MB in memory. Readers skip and fetch whole groups.
GROUP_POSES = 4096


class ParquetWriter:
    """Writes Parquet, compressed by Zstandard."""

    def __init__(self, path: Path, facts: RecordingFacts):
        import pyarrow
        from pyarrow import parquet

        self.arrow, self.poses = pyarrow, list[Pose]()
        self.schema = schema_of(facts)
        self.file = open(path, "wb")  # ours, so that a full disk is an OSError with its number
        self.writer = parquet.ParquetWriter(self.file, self.schema, compression="zstd")

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Keep one pose, and write a row group where there are enough."""
        self.poses.append(pose)
        if len(self.poses) == GROUP_POSES:
            self.write_group()

    def write_group(self) -> None:
        """Write the poses kept so far."""
        columns = columns_of(self.poses)
        joints = self.arrow.array(list(JOINTS))
        columns["joint"] = self.arrow.DictionaryArray.from_arrays(columns["joint"], joints)
        self.writer.write_table(self.arrow.table(list(columns.values()), schema=self.schema))
        self.poses = []

    def finish(self) -> None:
        """Write the rest, and close the file."""
        if self.poses:
            self.write_group()
        self.writer.close()
        self.file.close()

    def close(self) -> None:
        """Let the file go."""
        close_quietly(self.writer)
        close_quietly(self.file)


def schema_of(facts: RecordingFacts) -> pyarrow.Schema:
    """The columns' types, each with its unit and meaning, and the recording's facts."""
    import pyarrow

    types = {"str": pyarrow.dictionary(pyarrow.int8(), pyarrow.string())}
    fields = [
        pyarrow.field(
            column.name,
            types.get(column.dtype) or pyarrow.from_numpy_dtype(np.dtype(column.dtype)),
            nullable=False,
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in COLUMNS
    ]
    units = {column.name: column.unit for column in COLUMNS}
    metadata = {"egostream": json.dumps(facts.fields()), "units": json.dumps(units)}
    return pyarrow.schema(fields, metadata=metadata)
