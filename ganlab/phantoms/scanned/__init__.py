"""Heads made from real CT scans: their bone, air, fat and skin from the CT, their brain from the template."""
