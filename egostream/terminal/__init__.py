"""The terminal: commands and flags in, lines and figures for people out."""
