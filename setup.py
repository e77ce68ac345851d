"""Packaging. Metadata is in pyproject.toml; this maps calib/ and engines/ into the installed package."""

from setuptools import setup

setup(
    packages=["egostream", "egostream.camera", "egostream.sample", "egostream.assets.calib", "egostream.assets.engines"],
    package_dir={"egostream": "egostream", "egostream.assets.calib": "calib", "egostream.assets.engines": "engines"},
    package_data={
        "egostream.sample": ["*.avi", "*.npz"],
        "egostream.assets.calib": ["*.json"],
        "egostream.assets.engines": ["paper-*/*.onnx", "default/*"],
    },
)
