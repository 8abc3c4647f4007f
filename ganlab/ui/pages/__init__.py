"""The five tabs, a folder each; no page imports from a sibling."""
