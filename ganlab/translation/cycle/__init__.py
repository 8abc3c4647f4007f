"""There and back again: what a cycle of two translators keeps, hides and loses."""
