"""XML of OpenCV's FileStorage. Imported only where a file is XML."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from egostream.calibration.numerals import DEEPEST, LONGEST_NUMERAL, NUMBER, numeral


def parse(text: str) -> Any:
    """OpenCV's XML as the mapping that its YAML would give. Raises ValueError."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a document type is of no use in a calibration")
    try:
        root = ElementTree.fromstring(re.sub(r"\A\s*<\?xml[^>]*\?>", "", text))
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    if root.tag != "opencv_storage":
        raise ValueError(f"its root is <{root.tag[:40]}>, not <opencv_storage>")
    return {child.tag: xml_value(child, 0) for child in root}


def xml_value(node: ElementTree.Element, depth: int) -> Any:
    """The value of one of OpenCV's XML elements: a mapping, a list of numbers, a number, or text."""
    if depth > DEEPEST:
        raise ValueError("it nests too deep")
    if len(node):
        known = {"type_id": node.get("type_id")} if node.get("type_id") else {}
        return known | {child.tag: xml_value(child, depth + 1) for child in node}
    words = (node.text or "").strip().strip('"').split()
    if words and all(len(word) < LONGEST_NUMERAL and NUMBER.match(word) for word in words):
        values = [float(numeral(word)) for word in words]
        return values[0] if len(values) == 1 and node.tag != "data" else values
    return (node.text or "").strip().strip('"')
