"""The body: joints in, rotations of a humanoid's bones out. Pure NumPy: no messages, no files, no sockets."""
