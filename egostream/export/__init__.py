"""Animation files of solved poses: BVH, VRMA, GLB. One module a format; each has open, add and finish."""
