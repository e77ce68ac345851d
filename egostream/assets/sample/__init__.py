"""The bundled sample clip, made by tools/make_sample.py."""
