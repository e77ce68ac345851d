"""Recordings once more: their poses compared to the bit, or their messages sent again."""
