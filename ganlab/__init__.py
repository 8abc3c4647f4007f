"""See, try and judge generative adversarial networks in medical imaging."""

import lazy_loader

from ganlab.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # names of __init__.pyi, loaded when used
