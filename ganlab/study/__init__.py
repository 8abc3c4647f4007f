"""The visual Turing test: can readers tell synthetic images from real ones, and what may be said of it?"""
