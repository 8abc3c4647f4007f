"""Start the app: `python app.py`. Settings come from the environment, see `ganlab.ui.app.Settings`."""

from ganlab.ui.app import launch

if __name__ == "__main__":
    launch()
