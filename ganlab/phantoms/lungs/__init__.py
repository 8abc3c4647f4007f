"""CT slices of lungs with nodules whose truth is known."""
