"""Tensors in one block of a GPU's memory, and their pinned copy on the host."""

from __future__ import annotations

import numpy as np

from egostream.engine.cuda import Cuda

ALIGNMENT = 256  # bytes; cudaMalloc's own, which TensorRT wants of its scratch memory, too


class Block:
    """Several tensors in one piece of device memory, one after another, and a pinned copy of them on the host.

    ``device`` is the piece's address, ``host`` the copy, uint8 [n]. One copy between the two moves all tensors.
    ``addresses`` gives each tensor's address on the device, ``arrays`` a view of it in the host's copy, both by name.
    """

    def __init__(self, cuda: Cuda, tensors: dict[str, tuple[str, tuple]]):
        """tensors: name -> (dtype, shape). The host's copy begins as zeros. Raises CudaError."""
        places: dict[str, int] = {}
        nbytes = 0
        for name, (dtype, shape) in tensors.items():
            places[name] = nbytes
            nbytes += aligned(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        self.device, self.host = cuda.allocate(nbytes), cuda.pinned(nbytes)
        self.host[:] = 0
        self.addresses = {name: self.device + place for name, place in places.items()}
        self.arrays = {
            name: self.host[place : place + int(np.prod(shape)) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
            for (name, (dtype, shape)), place in zip(tensors.items(), places.values())
        }


def aligned(nbytes: int) -> int:
    """``nbytes`` rounded up to a multiple of ALIGNMENT."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
