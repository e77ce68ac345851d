"""People: bodies and their meshes, posed."""
