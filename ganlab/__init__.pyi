from . import api as api
from .api import evaluate as evaluate
from .api import generate as generate
from .api import list_series as list_series
from .api import models as models
from .api import phantom as phantom
from .api import read as read
from .api import register as register
from .api import train as train
from .api import translate as translate
from .api import translate_folder as translate_folder
from .api import write as write
from .errors import Cancelled as Cancelled
from .errors import InputError as InputError
from .imaging.volume import Volume as Volume

__version__: str
