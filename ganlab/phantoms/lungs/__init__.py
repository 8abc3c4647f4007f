"""CT slices of lung nodules with known ground truth."""
