"""Translation and back: what a cycle of two translators keeps, hides and loses."""
