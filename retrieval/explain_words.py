"""What the page of an explanation says, in English and in French."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "fr"]

ENGLISH: Mapping[str, str] = {
    "title": "How this was searched",
    "searched": "Searched for: {text}",
    "cut_off": "The last {count} characters of the question are not searched for.",
    "time": "the search took",
    "candidates": "candidates, by meaning or by words",
    "given": "texts for the model",
    "tokens": "of {budget} tokens",
    "count": "{tokens} tokens",
    "way": "The way of the passages",
    "way_note": "Each column is an order, the best on top. A passage that the model is given has a colour of its own; "
    "the number before it is its place at the end.",
    "words": "Words of the question",
    "words_note": "How many of the {count} candidates have the word, in any of its forms.",
    "not_searched": "Not searched for, because every text has them: {words}",
    "no_words": "The question has no words that are searched for: only its meaning counts.",
    "how": "How it was weighed",
    "passages": "All passages",
    "passages_note": "Cosine: nearness in meaning. BM25: common words, rare ones count more. Relevance: the estimate "
    "that it has to do with the question; where none reaches {least}, nothing is found.",
    "context": "What the model is given",
    "context_note": "Passages with what stands around them, as room allows.",
    "nothing": "Nothing was found.",
    "page": "p. {page}",
    "more": "… and {count} more candidates",
    "notes": "Notes",
    "dense": "by meaning",
    "bm25": "by words",
    "fused": "both together",
    "reranked": "reranked",
    "recency": "with recency",
    "relevant": "relevant",
    "diverse": "unlike others",
    "final": "for the model",
    "step.resolved": "look-up",
    "step.embedded": "embedding",
    "step.candidates": "search",
    "step.fused": "fusion",
    "step.reranked": "reranking",
    "step.recency": "recency",
    "step.relevant": "relevance",
    "step.diverse": "diversity",
    "step.context": "context",
    "why.shown": "before the model",
    "why.no_room": "no room in the context",
    "why.repeated": "says the same as one above",
    "why.beyond": "after top_k",
    "why.alike": "too much like those above",
    "why.irrelevant": "none was relevant enough",
    "why.outranked": "too far behind to be judged",
    "col.place": "place",
    "col.passage": "passage",
    "col.cosine": "cosine",
    "col.bm25": "BM25",
    "col.relevance": "relevance",
    "col.why": "what became of it",
    "by.meaning": "meaning",
    "by.words": "words",
    "by.min_relevance": "least relevance",
    "by.each": "candidates each",
    "by.diversity": "diversity",
    "by.recency": "recency",
    "by.reranker": "reranker",
}

FRENCH: Mapping[str, str] = {
    "title": "Comment cela a été cherché",
    "searched": "Cherché : {text}",
    "cut_off": "Les {count} derniers caractères de la question ne sont pas cherchés.",
    "time": "a duré la recherche",
    "candidates": "candidats, par le sens ou par les mots",
    "given": "textes pour le modèle",
    "tokens": "de {budget} jetons",
    "count": "{tokens} jetons",
    "way": "Le chemin des passages",
    "way_note": "Chaque colonne est un classement, le meilleur en haut. Un passage donné au modèle a sa couleur ; "
    "le numéro qui le précède est sa place à la fin.",
    "words": "Les mots de la question",
    "words_note": "Combien des {count} candidats contiennent le mot, sous l'une de ses formes.",
    "not_searched": "Pas cherchés, car tout texte les contient : {words}",
    "no_words": "La question n'a aucun mot qui soit cherché : seul son sens compte.",
    "how": "Ce qui a compté",
    "passages": "Tous les passages",
    "passages_note": "Cosinus : proximité du sens. BM25 : mots communs, les rares comptent plus. Pertinence : "
    "l'estimation qu'il ait un rapport avec la question ; si aucun n'atteint {least}, rien n'est trouvé.",
    "context": "Ce que le modèle reçoit",
    "context_note": "Les passages avec ce qui les entoure, selon la place.",
    "nothing": "Rien n'a été trouvé.",
    "page": "p. {page}",
    "more": "… et {count} autres candidats",
    "notes": "Remarques",
    "dense": "par le sens",
    "bm25": "par les mots",
    "fused": "les deux ensemble",
    "reranked": "reclassés",
    "recency": "avec la fraîcheur",
    "relevant": "pertinents",
    "diverse": "différents",
    "final": "pour le modèle",
    "step.resolved": "références",
    "step.embedded": "vecteur",
    "step.candidates": "recherche",
    "step.fused": "fusion",
    "step.reranked": "reclassement",
    "step.recency": "fraîcheur",
    "step.relevant": "pertinence",
    "step.diverse": "diversité",
    "step.context": "contexte",
    "why.shown": "devant le modèle",
    "why.no_room": "plus de place dans le contexte",
    "why.repeated": "dit la même chose qu'un précédent",
    "why.beyond": "après top_k",
    "why.alike": "trop semblable aux précédents",
    "why.irrelevant": "aucun assez pertinent",
    "why.outranked": "trop loin pour être jugé",
    "col.place": "place",
    "col.passage": "passage",
    "col.cosine": "cosinus",
    "col.bm25": "BM25",
    "col.relevance": "pertinence",
    "col.why": "ce qu'il est devenu",
    "by.meaning": "sens",
    "by.words": "mots",
    "by.min_relevance": "pertinence minimale",
    "by.each": "candidats chacun",
    "by.diversity": "diversité",
    "by.recency": "fraîcheur",
    "by.reranker": "reclassement",
}


class Speech:
    """Says things in one language, numbers as it writes them."""

    def __init__(self, language: Language) -> None:
        self._words = FRENCH if language == "fr" else ENGLISH
        self._comma = language == "fr"

    def __call__(self, key: str, **values: object) -> str:
        return self._words[key].format(**values)

    def number(self, value: float, digits: int = 2) -> str:
        said = f"{value:.{digits}f}"
        return said.replace(".", ",") if self._comma else said
