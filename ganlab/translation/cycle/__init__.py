"""Translation there and back: what a cycle of two translators preserves, hides and loses."""
