"""What is known of languages to tell encodings apart: how frequent letters beyond ASCII, signs and some words are.

The numbers are rounded shares of a language's letters beyond ASCII, in hundredths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_SHARES = {
    "fr": "é 60 à 13 è 9 ê 6 ç 4 û 1.4 ô 1.8 î 1.6 â 1.8 ù 1.4 œ 1 ï .4 ë .3 ü .1 ÿ .03 æ .05 ñ .05 ö .05 ä .03",
    "en": "é 50 è 8 ï 7 ö 5 ü 5 ñ 5 á 4 ê 4 ç 4 à 3 ä 2 ô 2 ó 3 í 2 ë 1 î 1 â 1 å .5 ø .5 æ 1 œ .5 ú .5",
    "de": "ü 34 ä 30 ö 18 ß 16 é 1 è .2 à .3 ê .1 ç .1 ñ .1 ô .05",
    "es": "¿ 3 ¡ 3 ó 28 á 21 í 20 é 14 ñ 9 ú 6 ü .5 ç .05 à .05 è .05",
    "pt": "ã 20 ç 16 á 13 é 12 í 8 ó 7 ê 6 õ 5 â 3 à 3 ú 3 ô 1.5 ü .2",
    "it": "à 30 è 32 ò 11 ù 10 é 9 ì 7 î .1",
    "nl": "é 40 ë 40 ï 9 ö 3 ü 3 è 4 ê 1 ó 1 ç .5 á .5 ä .3 à .5",
    "sv": "ä 42 å 30 ö 29 é 1 ü .1",
    "da": "ø 35 å 38 æ 25 é 1 ö .3 ä .2 ü .2",
    "fi": "ä 80 ö 17 å 2 é .2",
    "pl": "ą 14 ę 15 ł 24 ó 12 ś 9 ż 12 ć 6 ń 3 ź 1 é .1 ü .1",
    "cs": "á 17 í 20 ě 11 é 9 ř 9 š 7 č 7 ž 7 ý 6 ů 4 ú 1.5 ť .5 ď .5 ň .5 ó .3 ľ .7 ĺ .05 ŕ .05 ô .5 ä .2",
    "hu": "á 32 é 32 ö 11 ó 10 ő 7 í 6 ü 5 ú 4 ű 2",
    "ro": "ă 35 î 17 ş 17 ţ 16 â 13 ș 17 ț 16 é .1",
    "hr": "š 25 č 30 ž 20 ć 18 đ 7",
    "tr": "ı 30 ü 19 ş 15 ğ 11 ç 11 ö 9 İ 2 â .5 î .3",
    "lt": "ė 22 ų 17 š 15 ž 12 ū 9 ą 9 į 9 č 6 ę 4 ā 20 ī 12 ē 10 ļ 3 ņ 4 ķ 2 ģ 1 õ 8 ä 8 ö 2 ü 6",
    "ru": "о 11 е 8.5 а 8 и 7.4 н 6.7 т 6.3 с 5.5 р 4.7 в 4.5 л 4.3 к 3.5 м 3.2 д 3 п 2.8 у 2.6 я 2 ы 1.9 ь 1.7 г 1.7 "
    "з 1.6 б 1.6 ч 1.4 й 1.2 х 1 ж .9 ш .7 ю .6 ц .5 щ .4 э .3 ф .3 ъ .04 ё .1",
    "uk": "о 9.4 а 8 н 7 и 6.3 і 6 т 5.5 е 5 в 5.3 р 4.7 с 4.3 к 4 л 3.6 у 3.4 д 3 м 3 п 2.9 я 2.2 з 2.2 ь 1.8 б 1.6 "
    "г 1.5 ч 1.3 х 1.1 й 1.1 ж .8 є .7 ї .7 ц .8 ш .7 ю .8 щ .4 ф .3 ґ .02",
    "el": "α 11 ο 9 ι 7.5 τ 8 ε 7.5 ν 6.5 σ 5 η 4.3 ρ 4.2 π 4 κ 4 υ 4 μ 3.3 ς 4.5 λ 2.9 ί 2.7 ω 1.6 δ 1.7 ό 2 ά 2 "
    "έ 1.6 γ 1.8 χ 1.3 ή 1.7 θ 1.2 ύ 1.2 ώ 1.2 φ .9 β .8 ξ .4 ζ .4 ψ .15 ϊ .05 ΐ .03",
    "he": "י 11 ה 10.5 ו 10.4 ל 7.4 א 6.3 ר 5.6 ת 5 ב 4.7 ש 4.6 מ 4.6 ם 3 נ 3 ד 2.6 ח 2.5 ק 2.1 ע 3.2 פ 1.7 כ 2.7 "
    "ג 1.3 ט 1.2 צ 1.2 ס 1.5 ז 1.3 ן 1.4 ך .8 ף .3 ץ .1",
    "ar": "ا 13 ل 12 ي 7 م 6.5 و 6 ن 6 ر 5 ت 5 ب 4 ة 3.5 ع 3.5 د 3.5 س 2.7 ف 2.7 ه 3 ك 2.2 ق 2.3 أ 2 ح 2 ج 1.4 ش 1.2 "
    "ط 1 ص 1.1 ى 1.1 خ 1 إ .9 ذ .8 ث .6 ز .7 ض .7 غ .5 ئ .4 ء .4 ؤ .2 آ .2 ظ .2",
}
LETTERS = {
    language: {
        letter: math.log(float(share) / 100)
        for letter, share in zip(shares.split()[::2], shares.split()[1::2], strict=True)
    }
    for language, shares in _SHARES.items()
}
"""Logarithm of the share of each letter, in lower case, among a language's letters beyond ASCII."""

SIGNS = {
    **dict.fromkeys("’", -1.0),
    **dict.fromkeys("“”–«»\xa0…€°—", -2.5),
    **dict.fromkeys("‘„•·§©®™ªº", -4.5),
    **dict.fromkeys("¿¡", 0.0),  # judged as letters of Spanish
    **dict.fromkeys("£½²³¼¾±×µ‚‹›\xad†‰", -6.0),
}
"""Logarithm of how likely a sign is where a byte beyond ASCII stands."""

_GRAMMAR_WORDS = {
    "fr": "le la les des un une du et est dans que qui pour pas sur au aux en ne se ce il elle nous vous avec sont",
    "en": "the of and to in is that for it with as was on be by are this not or from at an which have you we",
    "de": "der die das und ist in den von zu mit sich des auf nicht ein eine dem es im als auch an wir bei ich",
    "es": "el la los las de que en un una por con no su para es se del al lo como pero sus este fue son",
    "pt": "o a os as de que em um uma por com para se do da no na dos das ao mais como mas foi",
    "it": "il la di che e un una per con non sono del della si da in al lo gli i le nel come ma",
    "nl": "de het een en van in is dat op te zijn met voor niet aan er om ook als bij maar",
    "sv": "och att det som en av den med till inte om ett har jag var han vi kan men",
    "da": "og at det som en af den med til ikke om et har jeg var han vi kan men er de",
    "fi": "ja on ei se oli joka ovat kun mutta niin tai hän myös sen että",
    "pl": "w i na z do nie jest to o jak po od za dla co tak ale lub przez oraz tego przy",
    "cs": "a v na je se z s do o k i za ve od by jsou pro ale jako po byl tak",
    "hu": "a az egy hogy nem is ez volt van meg de csak el ha mint vagy",
    "ro": "de la un o cu pe nu din care pentru este sau ca mai sunt o ce al lui",
    "hr": "i u je na se da su za od s o kao ili ali bi iz ne to",
    "tr": "ve bir bu da de ile olarak daha en gibi ama ne ben o var",
}
GRAMMAR_WORDS = {language: words.split() for language, words in _GRAMMAR_WORDS.items()}
"""Short words without accents."""

_FREQUENT_WORDS = {
    "fr": """
        à été être êtes même où très après ça déjà là voilà côté création première premières société
        économie activité année années café crème problème système qualité sécurité santé également français
        française élève élèves école études état états déclaration propriété règles règle numéro adressé
        payé mère père frère œuvre œuvres cœur sœur été étaient était réponse présent présente général
        générale région européen européenne préfet délai intérêt intérêts contrôle hôtel âge grâce tâche
        août sûr mûr goût coût coûts forêt fenêtre tête fête bête prêt arrêt connaître naître maître île
        dîner noël maïs égalité liberté fraternité droit dès près succès accès procès progrès congrès
        intérêt légumes février décembre téléphone vérifier résumé énergie élus élu écrit écoles équipe
        événement évènement époque étude étudiant façon garçon leçon reçu français où çà plutôt bientôt
        hôpital rôle diplôme théâtre château gâteau bâtiment""",
    "de": """
        für über können können müssen würde wäre früher größe größer große großen straße weiß schön schöne
        schönen natürlich möglich während hätte hätten könnte später jährlich männer länder städte stück
        zurück glück fünf zwölf tür übung übrigens öffentlich österreich höhe größten heißt muß daß außer
        dürfen führt gehört ähnlich ändern gemäß käse grüße köln münchen mädchen bücher häuser""",
    "es": """
        más está también así años año aquí sí después según través día días país países ningún qué cómo
        cuándo dónde quién información educación situación política público número último además mañana niño
        niños español española españa señor señora corazón razón acción nación población había tenía sería
        podría árbol él tú mí sólo""",
    "pt": "não é são está também já até você três através informação situação será então às à há pé avó",
    "it": "è perché più già può così città però né qualità attività università società sarà cioè là lì",
    "en": "café naïve résumé cliché fiancé façade née über jalapeño piñata exposé",
    "pl": "się są być można które który która także już jeśli również więc żeby może będzie było",
    "cs": "že být není jsme které který může při více také až když již byl",
}
FREQUENT_WORDS = {language: frozenset(words.split()) for language, words in _FREQUENT_WORDS.items()}

_WEST = ("fr", "en", "de", "es", "pt", "it", "nl", "sv", "da", "fi")
_CENTRE = ("pl", "cs", "hu", "ro", "hr")
CANDIDATES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("cp1252", 0.0, _WEST),
    ("iso8859-15", 0.5, _WEST),
    ("mac-roman", 2.0, _WEST),
    ("cp850", 2.0, _WEST),
    ("cp437", 3.5, _WEST),
    ("cp1250", 1.5, _CENTRE),
    ("iso8859-2", 1.7, _CENTRE),
    ("cp852", 3.0, _CENTRE),
    ("mac-latin2", 3.0, _CENTRE),
    ("cp1251", 0.5, ("ru", "uk")),
    ("koi8-u", 0.7, ("ru", "uk")),
    ("cp866", 1.5, ("ru", "uk")),
    ("mac-cyrillic", 2.0, ("ru", "uk")),
    ("iso8859-5", 2.0, ("ru", "uk")),
    ("cp1253", 0.5, ("el",)),
    ("iso8859-7", 0.7, ("el",)),
    ("cp1254", 0.5, ("tr",)),
    ("cp1255", 2.0, ("he",)),
    ("cp1256", 2.0, ("ar",)),
    ("cp1257", 1.0, ("lt",)),
)
"""Encoding, how much rarer than the first it is, and the languages that it is used for."""

_KANA = "".join(map(chr, range(0x3041, 0x30FF))) + "、。「」ー"
_KANJI = (
    "日本人年大一国会中出時行者名前月住所電話番号氏東京都市区町村県道府田山川木佐藤鈴高橋林小井上太郎二三四五六七八九十"
    "子男女社部長員水金土学生事業務書文方分手見品料理内外定合同場地新明表示機能自動作成用法"
)
_PLAIN_KANJI = "".join(
    bytes((lead, trail)).decode("cp932", errors="ignore")
    for lead in range(0x88, 0x99)
    for trail in range(0x9F if lead == 0x88 else 0x40, 0x73 if lead == 0x98 else 0xFD)
)
"""What Japan's standard calls level 1; nearly all of Japanese is written with it."""
_BOTH = "的一不了在人有我他中上大和地到以出可也你生能而子那自之年下用道行所然家成方多法去同如本前心天分好小其主但因只"
COMMON_CJK: Mapping[str, tuple[frozenset[str], float]] = {
    "cp932": (frozenset(_KANA + _PLAIN_KANJI), 0.9),
    "gb18030": (
        frozenset(
            _BOTH + "是这个们来为国说时要就会对得于着过发后作里种事经么学都现"
            "当没动面起看定还进部些样理她开从想实权，。、；：“”《》"
        ),
        0.25,
    ),
    "big5": (
        frozenset(
            _BOTH + "是這個們來為國說時要就會對得於著過發後作裡種事經麼學都"
            "現當沒動面起看定還進部些樣理她開從想實權，。、；：「」"
        ),
        0.25,
    ),
    "euc_jp": (frozenset(_KANA + _KANJI), 0.25),
    "euc_kr": (
        frozenset(
            "이다는에의을가를한은로하고지도서사기그어자대시인과나아일정리해수있것들적으전부주보라만구제상여장스비니무성오우"
            "공게면원모동경조안유마국세계음"
        ),
        0.25,
    ),
}
"""Encoding to the frequent characters of its language, and the share of them that real text has: by chance, it is a
twentieth, but for the first of them a half."""
