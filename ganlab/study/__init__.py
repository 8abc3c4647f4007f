"""The visual Turing test: can readers tell synthetic images from real ones?

`readings` (the table of readings) and `statistics` are shared by all. Built on these are `design` (before the
study), `reading` (sessions and their database) and `analysis` (scores and reports), each importing only the ones before
it. `organise` and `results` implement the organiser's actions.
"""
