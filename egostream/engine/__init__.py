"""Engines: graphs in, what a processor or GPU runs out; each with the manifest that says what it is."""
