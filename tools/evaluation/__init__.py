"""Accuracy of weights on annotated recordings. ``tools/evaluate.py`` is the command.

``predict`` makes the poses, ``metrics`` and ``compare`` their errors, ``report`` and ``figure`` show them. ``ablation``
is the paper's comparison of network variants.
"""
