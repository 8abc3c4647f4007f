"""Cycle analysis: what two translators preserve, hide and lose on a round trip."""
