"""Packaging. Metadata is in pyproject.toml; this maps calib/ and engines/ into the installed package, adds the page."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["egostream", "egostream.*"]),
        "egostream.view.page",
        "egostream.assets.calib",
        "egostream.assets.engines",
    ],
    package_dir={"egostream": "egostream", "egostream.assets.calib": "calib", "egostream.assets.engines": "engines"},
    package_data={
        "egostream": ["py.typed"],
        "egostream.view.page": ["*.html", "*.css", "*.js", "*.svg"],
        "egostream.assets.sample": ["*.avi", "*.npz"],
        "egostream.assets.calib": ["*.json"],
        "egostream.assets.engines": ["paper-*/*.onnx", "default/*"],
    },
)
