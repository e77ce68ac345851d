"""Metrics, a client in a process of its own: a run's messages in, figures for Prometheus over HTTP out."""
