"""What an answer holds that a person does not see, or that floods a model: found, taken out, or refused. Pure."""

from countersign.screening.characters import Danger, Kind, dangers
from countersign.screening.screen import Dangerous, Screen, Screened
from countersign.screening.size import OVERSIZED, cut_text, fitted
from countersign.screening.terms import Act, Oversized, Screening

__all__ = [
    "OVERSIZED",
    "Act",
    "Danger",
    "Dangerous",
    "Kind",
    "Oversized",
    "Screen",
    "Screened",
    "Screening",
    "cut_text",
    "dangers",
    "fitted",
]
