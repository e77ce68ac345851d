"""Fine-tuning the shipped weights to one camera: what tools/adapt.py does, part by part."""
