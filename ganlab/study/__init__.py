"""The visual Turing test: can readers tell synthetic images from real ones?

`readings` (the table of readings) and `statistics` are shared by all. On them stand `design` (before anybody reads),
`reading` (sessions and their database) and `analysis` (scores and reports), each importing only the ones before it.
`organise` and `results` are what an organiser does with a study.
"""
