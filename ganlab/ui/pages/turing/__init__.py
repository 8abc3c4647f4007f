"""The Turing test tab, and the pages of studies for readers and organisers."""
