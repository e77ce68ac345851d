"""Training of the AG-EgoPose network: data, augmentation, losses, the stages and what a run keeps on disk."""
