"""Every sentence the user reads, as whole templates, one module per part of the project.

Used as `sentences.NAME`; numbers in them go through `sentences.numbers`.
"""

from concmagic.sentences.children import *
from concmagic.sentences.doctor import *
from concmagic.sentences.findings import *
from concmagic.sentences.hints import *
from concmagic.sentences.numbers import *
from concmagic.sentences.options import *
from concmagic.sentences.picture import *
from concmagic.sentences.recording import *
from concmagic.sentences.report import *
from concmagic.sentences.running import *
from concmagic.sentences.saved_files import *
from concmagic.sentences.states_and_waits import *
from concmagic.sentences.tracks import *
