"""YAML of calibration files. Imported only where a file is YAML: capture processes stay small without its parser."""

from __future__ import annotations

import re
from typing import Any

import yaml

from egostream.calibration.numerals import DEEPEST, NUMBER, numeral


class CalibrationLoader(yaml.SafeLoader):
    """YAML with numbers as in YAML 1.2 (``1e-5`` is one, ``1:30`` is none) and with OpenCV's matrices."""

    yaml_implicit_resolvers: dict = {}


def construct_number(loader: yaml.SafeLoader, node: yaml.Node) -> float | int:
    """A number of a YAML file. Raises ValueError for one of too many digits."""
    return numeral(str(node.value))


def construct_matrix(loader: yaml.SafeLoader, node: yaml.Node) -> dict[str, Any]:
    """One of OpenCV's matrices: rows, cols, data. Raises ValueError or yaml.YAMLError."""
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("an opencv-matrix that is no mapping")
    return {"type_id": "opencv-matrix", **loader.construct_mapping(node, deep=True)}


CONSTANTS = {"bool": ("true|True|TRUE|false|False|FALSE", "tTfF"), "null": ("~|null|Null|NULL|", ["~", "n", "N", ""])}
for kind, (spellings, starts) in CONSTANTS.items():
    CalibrationLoader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{spellings})$"), list(starts))
CalibrationLoader.add_implicit_resolver("tag:egostream:number", NUMBER, list("-+.0123456789"))
CalibrationLoader.add_constructor("tag:egostream:number", construct_number)
CalibrationLoader.add_constructor("tag:yaml.org,2002:opencv-matrix", construct_matrix)


def parse(text: str) -> Any:
    """The value of a YAML text's first document. Raises ValueError or RecursionError.

    OpenCV's ``%YAML:1.0``, which is no YAML, is read past; so is what follows a first document, as ROS prints it.
    """
    text = re.sub(r"\A\s*%YAML[: ]1\.[0-9]+[^\n]*\n", "", text)
    check_depth(text)
    try:
        loader = CalibrationLoader(text)
        return loader.get_data() if loader.check_data() else None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def check_depth(text: str) -> None:
    """Raise ValueError for brackets that nest deeper than any calibration's."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            raise ValueError("it nests too deep")
