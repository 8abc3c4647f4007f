"""The Cycle tab."""
