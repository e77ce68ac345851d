"""Graphs: weights and topologies in, ONNX graphs in the form and precision that a backend compiles out."""
