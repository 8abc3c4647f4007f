"""See, try and judge generative adversarial networks in medical imaging."""

import lazy_loader

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # names of __init__.pyi, loaded when used
