"""Whether a question can be understood without those before it, told from its words alone, in French and English.

It is taken to stand alone unless something says otherwise: it starts as an addition, it says too little, or it speaks
of something by a pronoun before it has named anything.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 300
"""A longer question stands alone: it has room to say what it is about."""

FEW_WORDS = 6
"""An addition (`et…`, `what about…`) with more words of its own than that stands alone."""

_WORDS_OF_GRAMMAR = """
    a ai aie au aux avait avec avoir ca car ce ceci cela celle celles celui ces cet cette ceux chez ci combien comme
    comment contre d dans de depuis des desormais dont donc du elle elles en encore ensuite entre es est et etaient
    etait etant ete etes etre eu eut eux faire fait fallait faut furent fut ici il ils j je jusqu l la laquelle le
    lequel les lesquelles lesquels leur leurs lors lui m ma mais me meme memes mes mien moi mon n ne ni non nos notre
    nous on ont or ou oui par parmi pas pendant peut peuvent plus pour pourquoi pourrais pourrait puis puisqu qu quand
    que quel quelle quelles quels qui quid quoi s sa sans se sera seront ses si sien soi soit sommes son sont sous suis
    sur t ta tandis te tes toi ton tous tout toute toutes tu un une va vers veut vont vos votre vous vu y dit dis
    about after all also am an and any are as at be been before being but by can could did do does doing done down
    during each few for from get gets got had has have having he her here hers him his how i if in into is it its just
    let me more most much many my no nor not of off on once only or other others our out over own same shall she should
    so some such than that the their theirs them then there these they this those through to too under until up us very
    was we were what when where which while who whom whose why will with would you your yours
    annee annees an ans autre autres date dates dernier derniere endroit exemple fois genre jour jours lieu maniere
    moment mois nom nombre noms numero premier premiere periode raison sorte second seconde suivant suivante temps type
    premiers premieres derniers dernieres deuxieme troisieme
    date dates day days example first fourth kind last latter former long manner month name names number one ones place
    reason second sort third time times type way year years often far old big next previous
    bonjour bonsoir bref clair clairement continue continuer davantage detail detaille detailler detailles details
    developpe developper donne donner encore expliquer explique expliquez exactement merci mieux ok precise preciser
    precisement precises precisez precision precisions raconte redis repete repeter reponse resume resumer reformule
    sinon simplement stp svp suite traduis traduire traduction vraiment plait faux vrai sur sure sais savoir
    anglais francais allemand espagnol
    again answer briefly clarify continue elaborate else exactly example explain expand further go hello hi know
    list mean meaning okay please precisely really repeat rephrase right say shorter simpler sorry summarise summarize
    sum sure tell thank thanks translate translation true wrong yes english french german spanish
"""
_EMPTY = frozenset(_WORDS_OF_GRAMMAR.split())
"""Words that name nothing to search for: grammar, words for times, numbers and places in general, wishes to a model."""

_DEFINITION = re.compile(
    r"(?:qu'?est[ -]ce qu(?:e |')|c'est quoi |definition d|que (?:signifie|veut dire) |what does .+ mean\b"
    r"|(?:what|who)(?: is| was| are| were|'s) (?!the |an? |his |her |its |their |this |that |these |those |it\b|he\b"
    r"|she\b|they\b))"
)
"""A question about one word."""

_VERB = re.compile(r"\b(?:est|sont|etait|etaient|fut|fait|font|a|ont|is|are|was|were|does|do|did|has|have|had)\b")
"""With one of these, a name alone is a question of its own: `Où est l'Ouganda ?`, but not `How often in Venice?`."""

_ADDITION = re.compile(
    r"(?:et|mais|ou bien|alors|puis|sinon|and|but|or|so|then|also|quid d|qu'?en est[ -]il|(?:what|how) about|same for"
    r"|pareil pour|meme question|idem|plus d|encore|dans ce cas|in (?:that|this) case|a part ca|besides)\b"
)

_DOCUMENT = "document|documents|fichier|fichiers|texte|pdf|page|article|rapport|contrat|file|files|text|report|site"
"""`this document` is what the question is asked about, not what was said before."""
_GIVEN = re.compile(rf"\b(?:l'|(?:ce|cet|cette|ces|le|la|les|du|this|these|the|my|mon|mes) )(?:{_DOCUMENT})\b")
_END = r"(?= ?[?.!,;]|$)"
_BE = r"(?:avait|aura|eut|eu\b|ont\b|a\b)"

_POINTING = re.compile(
    r"\b(?:cela|ceci|ca)\b|\b(?:ce|cet|cette|ces) dernier"
    r"|(?<!est )(?<!est-)\b(?:ce|cet|cette|ces) "
    rf"(?!(?:qu|que|qui|dont|a|sont|epoque|moment|date|jour|periode|{_DOCUMENT})\b)"
    rf"|\b(?:l'|le |la |les )(?:autres?|memes?|premi|second|deuxi|troisi|derni)\w*{_END}"
    rf"|\b(?:l'|les )(?:a|ont|avait|avaient)\b|\bles? \w+[aeiu]rent{_END}"
    r"|(?:^| |qu')(?:qui|qu'|que|combien|comment|pourquoi|on|ils?|elles?|nous|vous|j'|n'|m'|t'|s') ?en (?!\d)"
    rf"|(?:^| |'|-t-)y (?!{_BE})"
    rf"|\bla[ -]dessus\b|\bla[ -]bas\b|\bnon plus\b|\balors{_END}"
    rf"|\b(?:this|these)\b(?! (?:{_DOCUMENT})\b)"
    rf"|\b(?:about|of|do|does|did|is|was|why|in|on|to|like|for|with|from|after|before|by) that{_END}"
    r"|\b(?:is|was|does|did) that (?!the\b|an?\b|there\b)"
    r"|\b(?:the|which|that|this|other|first|second|third|last|next|an?) (?:other )?ones?\b"
    rf"|\bthe (?:others?|same|latter|former|first|second|third|last){_END}"
    rf"|\b(?:instead|then|(?<!is )(?<!are )(?<!was )(?<!were )there){_END}"
)
"""What points back wherever it stands. Written without accents, as everything here is compared."""

_PRONOUN = re.compile(
    r"(?P<turned>\w+-(?:t-)?(?:il|elle|ils|elles)|\w+ t[' ](?:ils?|elles?))\b"
    r"(?! (?:possible|vrai|necessaire|permis|interdit|question))"
    r"|\b(?:il|elle|ils|elles|lui|eux)\b(?! y a| faut| s'agit| (?:est )?(?:possible|vrai|necessaire|permis|interdit))"
    r"|\b(?P<owned>son|sa|ses|leurs?|his|her|its|their)\b"
    r"|\b(?:he|she|they|him|them|those|celle|celui|ceux|celles"
    r"|it(?! takes?\b| means?\b| possible| true| matters?\b| rains?\b))\b"
)
_IMPERSONAL = re.compile(r"(?:faut|agit|existe|suffit|semble|convient|reste)-")
_WHOSE = re.compile(
    r"(?:qui|quel\w* (?!est|etai|fut|sont|sera)\w+|who|which (?!is|was|are|were)\w+) "
    r"(?!est|etai|fut|sont|is\b|was\b|are\b|were\b)"
)
"""Questions after an owner: in `Qui impose ses conditions ?` nobody was named before."""

_ARTICLE = re.compile(
    r"\b(?:l'|(?:le|la|les|un|une|des|du|au|aux|the|an?|my|our|your|mon|ma|mes|notre|nos|votre|vos) )\w{2,}"
)
_NAME = re.compile(r"(?<=[\w,;:'-])\s(?!I\b)[A-Z][\w-]*|'[A-Z][\w-]*")
_WORD = re.compile(r"[^\W_]+(?:[-.][^\W_]*\d[^\W_]*)*")
_CODE = re.compile(r"(?=\w*-?\w*\d)(?=\w*-?\w*[^\W\d_])\w[\w-]{2,}")


def stands_alone(question: str) -> bool:
    """Tell whether a question can be searched for by itself."""
    said = folded(question[: MAX_CHARS + 1]).strip(" \t\n\"'«»“”([¿¡-–—…")
    if len(said) > MAX_CHARS:
        return True
    plain = said.lower()
    words = content_words(said)
    if _ADDITION.match(plain) or _POINTING.search(plain) or _points_back(said):
        return len(words) > FEW_WORDS
    if len(words) > 1 or _GIVEN.search(plain):
        return True
    if not words:
        return False
    named = _NAME.search(said) is not None and _VERB.search(plain) is not None
    return named or _CODE.fullmatch(words[0]) is not None or _DEFINITION.match(plain) is not None


def content_words(text: str) -> list[str]:
    """Return the words of a text that name something, in lower case, without accents; numbers alone do not."""
    words = _WORD.findall(folded(text).lower())
    return [word for word in words if word not in _EMPTY and len(word) > 1 and not word.isdigit()]


def folded(text: str) -> str:
    """Return a text without accents, its case kept, typographic apostrophes as plain ones, white space as blanks."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'").replace("œ", "oe").replace("Œ", "Oe"))
    return " ".join("".join(sign for sign in plain if not unicodedata.combining(sign)).split())


def _points_back(said: str) -> bool:
    """Tell whether a pronoun stands before anything that it could mean."""
    plain = said.lower()
    first = content_words(said.split(" ", maxsplit=1)[0]) if said else []
    for found in _PRONOUN.finditer(plain):
        before = plain[: found.start()]
        if found["turned"] and (before.endswith("y ") or _IMPERSONAL.match(found["turned"])):
            continue
        if found["owned"] and _WHOSE.match(plain):
            continue
        # In `Quand les Knicks ont-ils…` the pronoun repeats its subject.
        if not (_ARTICLE.search(before) or _NAME.search(said[: found.start()]) or (first and before)):
            return True
    return False
