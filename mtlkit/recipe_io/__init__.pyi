from .dump import dump_recipe as dump_recipe
from .dump import provenance as provenance
from .load import Written as Written
from .load import load_recipe as load_recipe
from .load import parse_recipe as parse_recipe
from .load import read_recipe as read_recipe
