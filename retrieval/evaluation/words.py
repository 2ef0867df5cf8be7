"""What reports say, in English and in French."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "fr"]

ENGLISH: Mapping[str, str] = {
    "title": "How good retrieval is",
    "questions": "{count} questions",
    "documents": "{count} documents in {passages} passages",
    "collection": "collection {name}",
    "dense": "dense",
    "bm25": "BM25",
    "fused": "fused",
    "reranked": "fused + rerank",
    "answer": "in the answer",
    "dense?": "by meaning, vectors alone",
    "bm25?": "by words alone",
    "fused?": "both orders together",
    "reranked?": "read anew by the reranker",
    "answer?": "top_k passages that are relevant enough",
    "headline": "nDCG@10, {row}",
    "of_10": "right answers among the first 10",
    "first": "how early the first one stands",
    "search_time": "a search takes, in the median",
    "interval": "95 %: {low} to {high}",
    "p95": "95 % below {ms} ms",
    "verdict_better": "B is better than A by {difference} nDCG@10: this is hardly chance (p {p}).",
    "verdict_worse": "B is worse than A by {difference} nDCG@10: this is hardly chance (p {p}).",
    "verdict_none": "B differs from A by {difference} nDCG@10: this may well be chance (p {p}).",
    "pairs": "B is better on {wins} questions, worse on {losses}, the same on {ties}.",
    "table": "Configurations",
    "table_note": "Means over the questions, with 95 % intervals (bootstrap over questions).",
    "bars": "nDCG@10 by way of searching",
    "curve": "Right answers among the first k (recall@k)",
    "latency": "Time of a question",
    "embedding": "embedding the question",
    "searching": "searching",
    "differences": "What changed from A to B, question by question",
    "differences_note": "nDCG@10 of B less that of A; {ties} questions are the same and not drawn.",
    "history": "Earlier runs of this set",
    "collections": "By collection",
    "worst": "Questions that find worst",
    "worst_none": "All questions have their answer in first place.",
    "changed": "Questions that changed most",
    "wanted": "Right would be",
    "found": "Found instead",
    "found_first": "Found first",
    "nothing": "nothing",
    "more": "and {count} more",
    "settings": "Configuration and versions",
    "notes": "To be known",
    "note_times": "{note} ({count} of {all} questions)",
    "missing": "not measured: {why}",
    "sampled": "{limit} of its {count} questions were asked, drawn with seed {seed}.",
    "lacking": "Questions of the judgments that are not in queries.jsonl: {count} ({named}).",
    "gone": "Relevant documents of the judgments that are not in corpus.jsonl: {count} ({named}). They can never be "
    "found, and count, as trec_eval has it.",
    "unjudged": "Questions without a relevant document, which do not count: {count}.",
    "no_file": "Files that the set expects and that are not there: {count} ({named}). Their questions find nothing.",
    "no_reranker": "no reranker is configured (reranker.kind)",
    "how": "How to read this",
    "how_text": "nDCG@10 is 1 where all right answers come first and 0 where none is among the first ten. Recall@k "
    "is the part of the right answers among the first k, MRR@10 the mean of 1 / rank of the first right one. Each "
    "interval says how far the mean could lie elsewhere with other questions of the same kind. p is how often chance "
    "alone would make a difference as large (paired randomization test); below 0.05 it counts as real.",
    "as_set": "as in the settings",
    "count": "questions",
    "colon": ": ",
}

FRENCH: Mapping[str, str] = {
    "title": "Ce que vaut la recherche",
    "questions": "{count} questions",
    "documents": "{count} documents en {passages} passages",
    "collection": "collection {name}",
    "dense": "dense",
    "bm25": "BM25",
    "fused": "fusion",
    "reranked": "fusion + reclassement",
    "answer": "dans la réponse",
    "dense?": "par le sens, vecteurs seuls",
    "bm25?": "par les mots seuls",
    "fused?": "les deux ordres ensemble",
    "reranked?": "relus par le modèle de reclassement",
    "answer?": "les top_k passages assez pertinents",
    "headline": "nDCG@10, {row}",
    "of_10": "des bonnes réponses parmi les 10 premières",
    "first": "rang de la première bonne réponse (inverse)",
    "search_time": "durée médiane d’une recherche",
    "interval": "95 % : {low} à {high}",
    "p95": "95 % en moins de {ms} ms",
    "verdict_better": "B fait mieux que A de {difference} nDCG@10 : ce n’est guère un hasard (p {p}).",
    "verdict_worse": "B fait moins bien que A de {difference} nDCG@10 : ce n’est guère un hasard (p {p}).",
    "verdict_none": "B diffère de A de {difference} nDCG@10 : cela peut être un hasard (p {p}).",
    "pairs": "B fait mieux sur {wins} questions, moins bien sur {losses}, pareil sur {ties}.",
    "table": "Configurations",
    "table_note": "Moyennes sur les questions, avec intervalles à 95 % (bootstrap sur les questions).",
    "bars": "nDCG@10 selon la façon de chercher",
    "curve": "Bonnes réponses parmi les k premières (rappel@k)",
    "latency": "Durée d’une question",
    "embedding": "vectoriser la question",
    "searching": "chercher",
    "differences": "Ce qui change de A à B, question par question",
    "differences_note": "nDCG@10 de B moins celui de A ; {ties} questions pareilles ne sont pas dessinées.",
    "history": "Évaluations précédentes de ce jeu",
    "collections": "Par collection",
    "worst": "Les questions qui trouvent le moins bien",
    "worst_none": "Toutes les questions ont leur réponse en tête.",
    "changed": "Les questions qui ont le plus changé",
    "wanted": "Il fallait",
    "found": "Trouvé à la place",
    "found_first": "Trouvé d’abord",
    "nothing": "rien",
    "more": "et {count} de plus",
    "settings": "Configuration et versions",
    "notes": "À savoir",
    "note_times": "{note} ({count} questions sur {all})",
    "missing": "pas mesuré : {why}",
    "sampled": "{limit} de ses {count} questions ont été posées, tirées avec la graine {seed}.",
    "lacking": "Questions des jugements absentes de queries.jsonl : {count} ({named}).",
    "gone": "Documents pertinents des jugements absents de corpus.jsonl : {count} ({named}). Ils ne peuvent être "
    "trouvés, et comptent, comme chez trec_eval.",
    "unjudged": "Questions sans document pertinent, qui ne comptent pas : {count}.",
    "no_file": "Fichiers attendus par le jeu qui ne sont pas là : {count} ({named}). Leurs questions ne trouvent rien.",
    "no_reranker": "aucun modèle de reclassement n’est configuré (reranker.kind)",
    "how": "Comment lire cette page",
    "how_text": "Le nDCG@10 vaut 1 quand toutes les bonnes réponses viennent en tête, 0 quand aucune n’est parmi les "
    "dix premières. Le rappel@k (recall) est la part des bonnes réponses parmi les k premières, le MRR@10 la moyenne "
    "de 1 / rang de la première. Chaque intervalle dit jusqu’où irait la moyenne avec d’autres questions semblables. p "
    "dit combien de fois le hasard seul ferait une telle différence (test de randomisation par paires) ; sous 0,05, "
    "elle compte pour réelle.",
    "as_set": "comme dans les réglages",
    "count": "questions",
    "colon": "\u202f: ",
}

WORDS: Mapping[Language, Mapping[str, str]] = {"en": ENGLISH, "fr": FRENCH}


class Speech:
    """Words and numbers of one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._words = WORDS[language]

    def __call__(self, key: str, **values: object) -> str:
        return self._words[key].format(**values)

    def number(self, value: float, digits: int = 3) -> str:
        """Return a number as it is written: 0.983, or 0,983; -0 is 0."""
        text = f"{value:,.{digits}f}"
        text = text.removeprefix("-") if not text.strip("-0.,") else text
        return text if self.language == "en" else text.replace(",", "\u202f").replace(".", ",")

    def count(self, value: int) -> str:
        return self.number(value, 0)

    def signed(self, value: float, digits: int = 3) -> str:
        text = self.number(abs(value), digits)
        if not text.strip("0.,"):
            return text
        return f"{'−' if value < 0 else '+'}{text}"

    def p(self, value: float) -> str:
        return f"< {self.number(0.001)}" if value < 0.001 else f"= {self.number(value)}"
