"""Movement: recorded clips and invented activities in, a skeleton's movement out."""
