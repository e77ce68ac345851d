"""Bridges: a subscriber each, in a process of its own, that speaks to one kind of receiver."""
