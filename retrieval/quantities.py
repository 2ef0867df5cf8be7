"""Units and number words of French and English texts: what stands around or in the place of digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

SYMBOLS = {
    "%": "% pct",
    "‰": "‰",
    "euro": "€ EUR",
    "dollar": "$ USD",
    "pound": "£ GBP",
    "yen": "¥ JPY",
    "franc": "CHF FF",
    "mm": "mm",
    "cm": "cm",
    "metre": "m",
    "km": "km",
    "mg": "mg",
    "gram": "g gr",
    "kg": "kg",
    "tonne": "t",
    "second": "s sec",
    "ms": "ms",
    "minute": "min mn",
    "hour": "h",
    "celsius": "°C ℃",
    "fahrenheit": "°F",
    "degree": "°",
    "watt": "W",
    "kw": "kW",
    "mw": "MW",
    "gw": "GW",
    "kwh": "kWh",
    "mwh": "MWh",
    "gwh": "GWh",
    "twh": "TWh",
    "volt": "V",
    "hz": "Hz",
    "khz": "kHz",
    "mhz": "MHz",
    "ghz": "GHz",
    "kb": "Ko KB kB",
    "mb": "Mo MB",
    "gb": "Go GB",
    "tb": "To TB",
    "hpa": "hPa",
    "bar": "bar bars",
    "m2": "m² m2",
    "km2": "km² km2",
    "hectare": "ha",
    "m3": "m³ m3",
    "litre": "l L",
    "ml": "ml mL",
    "km/h": "km/h kph",
    "m/s": "m/s",
    "inch": "in″",
}
WORDS = {
    "%": "percent|per cent|pour cent|pour-cent",
    "euro": "euro|euros",
    "dollar": "dollar|dollars",
    "franc": "franc|francs",
    "mm": "millimètre|millimètres|millimeter|millimeters|millimetre|millimetres",
    "cm": "centimètre|centimètres|centimeter|centimeters|centimetre|centimetres",
    "metre": "mètre|mètres|meter|meters|metre|metres",
    "km": "kilomètre|kilomètres|kilometer|kilometers|kilometre|kilometres",
    "mile": "mile|miles",
    "foot": "foot|feet|ft|pied|pieds",
    "inch": "inch|inches|pouce|pouces",
    "mg": "milligramme|milligrammes|milligram|milligrams",
    "gram": "gramme|grammes|gram|grams",
    "kg": "kilogramme|kilogrammes|kilogram|kilograms|kilo|kilos",
    "tonne": "tonne|tonnes|ton|tons",
    "second": "seconde|secondes|second|seconds",
    "minute": "minute|minutes",
    "hour": "heure|heures|hour|hours",
    "day": "jour|jours|day|days",
    "week": "semaine|semaines|week|weeks",
    "month": "mois|month|months",
    "year": "an|ans|année|années|year|years",
    "century": "siècle|siècles|century|centuries",
    "hectare": "hectare|hectares",
    "litre": "litre|litres|liter|liters",
    "degree": "degré|degrés|degree|degrees",
}
UNITS = {form: unit for unit, forms in SYMBOLS.items() for form in forms.split()}
UNITS |= {form: unit for unit, forms in WORDS.items() for form in forms.split("|")}
"""Each way of writing a unit, and the unit."""

CURRENCIES = "€$£¥"

SCALES = {
    "k": 10**3,
    "mille": 10**3,
    "thousand": 10**3,
    "m": 10**6,
    "million": 10**6,
    "mio": 10**6,
    "mln": 10**6,
    "md": 10**9,
    "bn": 10**9,
    "milliard": 10**9,
    "billion": 10**9,
    "trillion": 10**12,
}


def alternatives(forms: Iterable[str]) -> str:
    """Return a regular expression for any of these, the longest first."""
    return "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))


def _words_regex() -> str:
    return alternatives(form for forms in WORDS.values() for form in forms.split("|"))


def _symbols_regex() -> str:
    return alternatives(form for forms in SYMBOLS.values() for form in forms.split())


ANY_UNIT = rf"(?:(?i:{_words_regex()})|{_symbols_regex()})"
ANY_SCALE = r"(?:(?i:millions?|milliards?|billions?|trillions?|mio|mln|thousand|mille)|Mds?|bn|M|k|K(?=[€$£]))"
END = r"(?![\w'’])"
AFTER = (
    rf"(?:[\s-]{{0,2}}(?P<unit>{ANY_UNIT}){END}"
    rf"|\s{{0,2}}(?P<scale>{ANY_SCALE})(?:\s{{0,2}}(?:d['’]|de\s|of\s)?(?P<scaled>{ANY_UNIT}))?{END})?+"
)
"""What may follow a number: a unit, or a power of ten and a unit."""


def scale_of(word: str) -> int:
    """Return the power of ten that a word or sign stands for, 1 for none."""
    return SCALES.get(word.lower().rstrip("s") or "", 1) if word else 1


def unit_of(form: str) -> str:
    """Return the unit that is written so, "" for none."""
    return UNITS.get(form) or UNITS.get(form.lower(), "")


FRENCH = {
    "zéro": 0, "un": 1, "une": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "six": 6, "sept": 7, "huit": 8,
    "neuf": 9, "dix": 10, "onze": 11, "douze": 12, "treize": 13, "quatorze": 14, "quinze": 15, "seize": 16,
    "vingt": 20, "vingts": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60, "septante": 70,
    "nonante": 90, "cent": 100, "cents": 100, "mille": 1000, "million": 10**6, "millions": 10**6,
    "milliard": 10**9, "milliards": 10**9,
}  # fmt: skip
ENGLISH = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000, "million": 10**6,
    "billion": 10**9,
}  # fmt: skip
_ORDINALS = {
    "fr": """deuxième troisième quatrième cinquième sixième septième huitième neuvième dixième onzième douzième
        treizième quatorzième quinzième seizième dix-septième dix-huitième dix-neuvième vingtième""",
    "en": """second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
        fifteenth sixteenth seventeenth eighteenth nineteenth twentieth""",
}
ORDINALS = {language: words.split() for language, words in _ORDINALS.items()}
"""From the second on: the first of something is often not counted."""

CARDINALS = {"fr": FRENCH, "en": ENGLISH}
MULTIPLY = 100
"""From this number word on, what stands before it is multiplied by it."""
FOUR, TEN, TWENTY, SIXTY = 4, 10, 20, 60


def number_words(language: str) -> re.Pattern[str]:
    """Return what finds number words of a language, ordinal ones in the group `ordinal`."""
    word = alternatives(CARDINALS[language])
    ordinal = alternatives(ORDINALS[language])
    joint = r"(?:-et-|\set\s|-|\s)" if language == "fr" else r"(?:\sand\s|-|\s)"
    return re.compile(
        rf"(?<![\w-])(?:(?P<ordinal>{ordinal})s?|(?P<words>(?:{word})(?:{joint}(?:{word})(?!\w)){{0,8}}))(?![\w-]){AFTER}",
        re.IGNORECASE,
    )


def ordinal_value(word: str, language: str) -> int:
    return ORDINALS[language].index(word.lower()) + 2


def value_of(words: str, language: str) -> int | None:
    """Return the number that words spell; None where they are no single number, such as `deux trois`."""
    values = CARDINALS[language]
    known = [values[word] for word in re.split(r"[\s-]+", words.lower()) if word in values]
    total, current, least = 0, 0, 10**10
    for value in known:
        if value >= MULTIPLY:
            if current == 0 and total > 0 and value != MULTIPLY:
                return None
            factor = max(1, current % MULTIPLY if value == MULTIPLY else current)
            if value == MULTIPLY:
                current, least = factor * value, MULTIPLY
            else:
                total, current, least = total + factor * value, 0, value
        elif value == TWENTY and language == "fr" and current % MULTIPLY == FOUR:
            current, least = current - FOUR + FOUR * TWENTY, TWENTY
        elif value < least:
            current += value
            least = room_after(value, language)
        else:
            return None
    return total + current


def room_after(value: int, language: str) -> int:
    """Return what a word after this one must be less than to be added to it: soixante-dix, dix-sept, twenty-one."""
    if language == "fr" and value == SIXTY:
        return TWENTY
    return TEN if value >= TWENTY or (language == "fr" and value == TEN) else 1


def units_in(words: Sequence[str], text: str) -> Iterator[str]:
    """Give the units that a text names anywhere, beside a number or not."""
    yield from {UNITS[word] for word in words if word in UNITS}
    yield from (UNITS[sign] for sign in ("%", "‰", "€", "$", "£", "¥", "°") if sign in text)
