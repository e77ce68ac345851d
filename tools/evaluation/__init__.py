"""Accuracy of weights on annotated recordings: poses (``predict``), their errors (``compare``), what is shown (``report``, ``figure``)
and the paper's comparison of network variants (``ablation``). ``tools/evaluate.py`` is the command.
"""
